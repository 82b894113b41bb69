module servers.example/chasquid

go 1.24

tool blitiri.com.ar/go/chasquid

require blitiri.com.ar/go/chasquid v1.17.0
