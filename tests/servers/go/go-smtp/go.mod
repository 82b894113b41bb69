module servers.example/go-smtp

go 1.24

require github.com/emersion/go-smtp v0.26.0
