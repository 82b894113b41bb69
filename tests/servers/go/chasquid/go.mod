module servers.example/chasquid

go 1.24.0

tool blitiri.com.ar/go/chasquid

require blitiri.com.ar/go/chasquid v1.17.0

require (
	blitiri.com.ar/go/log v1.1.0 // indirect
	blitiri.com.ar/go/spf v1.5.1 // indirect
	blitiri.com.ar/go/systemd v1.1.0 // indirect
	golang.org/x/crypto v0.45.0 // indirect
	golang.org/x/net v0.47.0 // indirect
	golang.org/x/text v0.31.0 // indirect
	google.golang.org/protobuf v1.36.10 // indirect
)
