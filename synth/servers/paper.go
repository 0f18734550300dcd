package servers

import (
	"io"
	"iter"
)

// A Paper is one row of mcp_servers.jsonl, or of a stage file that carries such rows.
type Paper struct {
	Line   int // from 1: where the row begins
	Server Server
	Reach  *Reach // how its real server is reached; nil for documents alone
}

// A Reach is how a real MCP server is reached. Secrets are variables, ${NAME}, in it.
type Reach struct {
	URL       string
	Headers   map[string]string
	Variables []string // that URL and Headers name, sorted
}

// ReadPaper reads mcp_servers.jsonl, or the same as one .json document. What cannot be read
// of one row is an error there, and the next is read.
func ReadPaper(file string, r io.Reader) iter.Seq2[Paper, error] {
	return func(yield func(Paper, error) bool) {}
}
