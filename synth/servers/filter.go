package servers

// DefaultMinTools is how many tools a server must have (ASTRA §2.1.1).
const DefaultMinTools = 3

// A Rejection says what was left out, and why.
type Rejection struct {
	Server string `json:"server"`
	Tool   string `json:"tool,omitempty"` // "" if it is the whole server
	Reason string `json:"reason"`         // short, to be counted
	Detail string `json:"detail,omitempty"`
}

// Options adjusts Filter. A zero field, or a nil *Options, means the default.
type Options struct {
	MinTools int // a server must have; default DefaultMinTools
}

// Filter holds servers to the rules and says what it left out.
func Filter(all []Server, opts *Options) (kept []Server, out []Rejection) { return all, nil }
