package ors

// A reply is what a call comes to: an output, or what was wrong with the call.
type reply struct {
	OK     bool    `json:"ok"`
	Output *output `json:"output,omitempty"`
	Error  string  `json:"error,omitempty"`
	Reason reason  `json:"reason,omitempty"`
}

// An output is what a tool returned. Models read the blocks alone.
type output struct {
	Blocks   []block   `json:"blocks"`
	Metadata *struct{} `json:"metadata"` // null: some harnesses show it to models
	Reward   *float64  `json:"reward"`
	Finished bool      `json:"finished"`
}

type block struct {
	Text string `json:"text"`
	Type string `json:"type"`
}

// A reason says which kind of wrong a call was.
type reason string

const (
	notFound reason = "not_found"
	badInput reason = "input_validation"
)

func texts(text string) []block { return []block{{text, "text"}} }

// said is the reply of a tool, one that failed included.
func said(text string) *reply { return &reply{OK: true, Output: &output{Blocks: texts(text)}} }

// over is the reply to a call that ends the episode, or comes after its end.
func over(reward *float64) *reply {
	return &reply{OK: true, Output: &output{Blocks: texts("The task is over."), Reward: reward, Finished: true}}
}

// wrong is the reply to a call that could not be made.
func wrong(why reason, text string) *reply { return &reply{Error: text, Reason: why} }
