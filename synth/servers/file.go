package servers

import "io"

// Write writes servers one a line: servers.jsonl.
func Write(w io.Writer, all []Server) error { return nil }

// Read reads what Write wrote.
func Read(r io.Reader) ([]Server, error) { return nil, nil }
