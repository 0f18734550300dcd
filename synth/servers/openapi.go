package servers

// ReadOpenAPI reads an OpenAPI 3 document, JSON or YAML: one tool an operation.
func ReadOpenAPI(b []byte) (Server, []Rejection, error) { return Server{}, nil, nil }
