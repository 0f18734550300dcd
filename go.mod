module github.com/astra-arenas/astra

go 1.26.0
