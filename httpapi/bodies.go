package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// OpenBody asks for an episode.
type OpenBody struct {
	gateway.OpenRequest
	Principal string `json:"principal,omitempty"` // who opens; default "control"
	TTL       int64  `json:"ttl,omitempty"`       // seconds until it expires; default the gateway's
	// Key is the episode's, chosen by the opener, so that a request whose answer was lost can
	// be made again: 128 random bits in hex. Default one of the gateway's.
	Key astra.Key `json:"key,omitempty"`
}

// ForkBody asks for copies of an episode.
type ForkBody struct {
	gateway.ForkRequest
	Principal string `json:"principal,omitempty"`
	TTL       int64  `json:"ttl,omitempty"` // seconds
	// Keys are the forks', one each, as OpenBody's Key. Default keys of the gateway's.
	Keys []astra.Key `json:"keys,omitempty"`
}

// RewindBody says where to go back to.
type RewindBody struct {
	Step      *int      `json:"step"` // 0 is before the first
	Principal string    `json:"principal,omitempty"`
	TTL       int64     `json:"ttl,omitempty"` // seconds
	Key       astra.Key `json:"key,omitempty"` // of the fork, as OpenBody's
}

// CallBody is one tool call. The key may be given here or as the header Idempotency-Key.
type CallBody struct {
	Tool string          `json:"tool"`
	Args json.RawMessage `json:"args,omitempty"` // an object; default {}
	Key  string          `json:"idempotency_key,omitempty"`
}

// TurnBody closes a turn. With a message, the task's simulated user says it next.
type TurnBody struct {
	Reply   string `json:"reply"`
	Message string `json:"message,omitempty"`
}

// SubmitBody ends the agent's part. An answer that is a string is taken as it is, any
// other value as compact JSON; null and none are no answer.
type SubmitBody struct {
	Answer   json.RawMessage `json:"answer,omitempty"`
	Messages json.RawMessage `json:"messages,omitempty"` // OpenAI chat messages; must agree with the log
}

// AbortBody says why.
type AbortBody struct {
	Reason string `json:"reason,omitempty"`
}

// ResolveBody has an episode's key.
type ResolveBody struct {
	Key astra.Key `json:"key"`
}

// ArenasReply is a list of arenas.
type ArenasReply struct {
	Arenas []astra.PublicArena `json:"arenas"`
}

// TasksReply is a list of tasks.
type TasksReply struct {
	Tasks []astra.PublicTask `json:"tasks"`
}

// ToolsReply is a list of tools.
type ToolsReply struct {
	Tools []astra.PublicTool `json:"tools"`
}

// EpisodeReply names an episode.
type EpisodeReply struct {
	Episode astra.EpisodeID `json:"episode"`
}

// ScoreReply has the score of a submitted episode; null where free play has none.
type ScoreReply struct {
	Score *astra.Score `json:"score"`
}

// ForkReply has the forks in the order of their making.
type ForkReply struct {
	Episodes []*gateway.Opening `json:"episodes"`
}

type statusReply struct {
	Status string `json:"status"`
}

// defaultPrincipal is who opens where nobody is named: all of control shares one token.
const defaultPrincipal = "control"

// maxTTL keeps seconds from overflowing a duration; the gateway may well allow less.
const maxTTL = 366 * 24 * 60 * 60

// chosenKey is the form of our own keys: whoever guesses one plays the episode.
var chosenKey = regexp.MustCompile(`^[0-9a-f]{32}$`)

func checkKeys(keys ...astra.Key) error {
	for _, k := range keys {
		if !chosenKey.MatchString(string(k)) {
			return fmt.Errorf("%w: a key is 128 random bits as 32 hexadecimal digits, or left out", astra.ErrRefused)
		}
	}
	return nil
}

// optional is a key in a list, or none.
func optional(k astra.Key) []astra.Key {
	if k == "" {
		return nil
	}
	return []astra.Key{k}
}

func ttl(seconds int64) (time.Duration, error) {
	if seconds < 0 || seconds > maxTTL {
		return 0, fmt.Errorf("%w: ttl is a number of seconds up to %d", astra.ErrRefused, maxTTL)
	}
	return time.Duration(seconds) * time.Second, nil
}

func (b *OpenBody) request() (gateway.OpenRequest, error) {
	req := b.OpenRequest
	req.Principal, req.Key = principal(b.Principal), b.Key
	if err := checkKeys(optional(b.Key)...); err != nil {
		return req, err
	}
	var err error
	req.TTL, err = ttl(b.TTL)
	return req, err
}

func (b *ForkBody) request() (gateway.ForkRequest, error) {
	req := b.ForkRequest
	req.Principal, req.Keys = principal(b.Principal), b.Keys
	if err := checkKeys(b.Keys...); err != nil {
		return req, err
	}
	var err error
	req.TTL, err = ttl(b.TTL)
	return req, err
}

func (b *RewindBody) request() (req gateway.RewindRequest, err error) {
	if b.Step == nil {
		return req, fmt.Errorf("%w: say which step to go back to; 0 is before the first", astra.ErrRefused)
	}
	if err := checkKeys(optional(b.Key)...); err != nil {
		return req, err
	}
	req.Step, req.Principal, req.Key = *b.Step, principal(b.Principal), b.Key
	req.TTL, err = ttl(b.TTL)
	return req, err
}

func principal(name string) string {
	if name == "" {
		return defaultPrincipal
	}
	return name
}

// submitted reads answer and messages.
func (b *SubmitBody) submitted() astra.Submitted {
	s := astra.Submitted{Answer: answerText(b.Answer)}
	if !isNull(b.Messages) {
		s.Messages = b.Messages
	}
	return s
}

func answerText(raw json.RawMessage) *string {
	if isNull(raw) {
		return nil
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return &s
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil {
		return nil // cannot be: the body was decoded
	}
	s = compact.String()
	return &s
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
