module servers.example/mox

go 1.24

tool github.com/mjl-/mox

require github.com/mjl-/mox v0.0.15
