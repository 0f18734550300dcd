package recorder

import (
	"encoding/json"
	"errors"
	"fmt"
)

// chat is OpenAI's chat completions, as vLLM and SGLang serve it too.
type chat struct{}

func (chat) path() string   { return "chat/completions" }
func (chat) deepest() depth { return tokens }

// chatMembers are those of OpenAI's API that concern one completion alone, and what vLLM
// and SGLang both have of sampling and templates.
var chatMembers = []string{"messages", "model", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "max_tokens", "max_completion_tokens",
	"n", "presence_penalty", "response_format", "seed", "stop", "stream", "stream_options", "temperature", "top_p", "tools", "tool_choice",
	"parallel_tool_calls", "functions", "function_call", "reasoning_effort", "verbosity", "user", "metadata", "store", "safety_identifier", "prompt_cache_key", "service_tier", "modalities",
	"top_k", "min_p", "min_tokens", "repetition_penalty", "length_penalty", "stop_token_ids", "ignore_eos", "skip_special_tokens", "chat_template_kwargs",
	"structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "regex", "ebnf", "include_reasoning", "separate_reasoning",
	"continue_final_message", "add_generation_prompt", "return_token_ids", "return_prompt_token_ids", "return_meta_info"}

// store and metadata would have a server keep what agents say; the recorder does. Without
// reasoning vLLM tells no tokens either.
var chatDropped = []string{"store", "metadata", "include_reasoning", "service_tier", "user", "safety_identifier", "prompt_cache_key"}

func (chat) check(req object, more []string) error {
	if err := req.only(chatMembers, more); err != nil {
		return err
	}
	n := 1
	if err := req.get("n", &n); err != nil || n != 1 {
		return errors.New("n is 1 here: an episode goes on from one completion")
	}
	if !req.has("messages") {
		return errors.New("there are no messages")
	}
	for _, name := range chatDropped {
		delete(req, name)
	}
	return toolsAre(req, "function", "custom")
}

func (chat) ask(req object, d depth) (x extra) {
	if d >= logprobs {
		x.logprobs = switchOn(req, "logprobs")
	}
	if d >= tokens {
		sampled, prompt := switchOn(req, "return_token_ids"), switchOn(req, "return_prompt_token_ids")
		x.ids = sampled && prompt // else the agent asked for one of them, and gets what the server makes of it
		x.meta = switchOn(req, "return_meta_info")
	}
	var stream bool
	if req.get("stream", &stream) == nil && stream {
		x.usage = askUsage(req)
	}
	return x
}

// switchOn sets a member, and reports whether it was off.
func switchOn(req object, name string) bool {
	var on bool
	if req.get(name, &on) != nil || on {
		return false // what is no boolean the server refuses
	}
	req.put(name, true)
	return true
}

// askUsage has a stream tell what it took, as whole answers do, unless the agent asked.
func askUsage(req object) bool {
	options := object{}
	var has bool
	if req.get("stream_options", &options) != nil || options.get("include_usage", &has) != nil || has {
		return false
	}
	options.put("include_usage", true)
	req.put("stream_options", options)
	return true
}

// A chatChoice is what is read of a choice, whole or of a chunk.
type chatChoice struct {
	Index    int     `json:"index"`
	Finish   *string `json:"finish_reason"`
	Logprobs *struct {
		Content []struct {
			Logprob float64 `json:"logprob"`
		} `json:"content"`
	} `json:"logprobs"`
	TokenIDs []int32 `json:"token_ids"`
	Prompt   []int32 `json:"prompt_token_ids"`
	Meta     struct {
		Output []metaToken `json:"output_token_logprobs"`
	} `json:"meta_info"`
}

// A metaToken is SGLang's [log-probability, id, text].
type metaToken struct {
	logprob float64
	id      int32
}

func (t *metaToken) UnmarshalJSON(b []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil || len(parts) < 2 {
		return errors.New("a token is not [log-probability, id, text]")
	}
	return errors.Join(json.Unmarshal(parts[0], &t.logprob), json.Unmarshal(parts[1], &t.id))
}

func (chat) whole(answer object, x extra, c *Completion) error {
	choices, err := chatRead(answer, c)
	if err == nil && len(choices) != 1 {
		err = fmt.Errorf("the answer has %d choices", len(choices))
	}
	if err == nil && c.Finish == "" {
		err = errors.New("the answer does not say why it ended")
	}
	if err == nil {
		err = chatBrokenOff(c)
	}
	chatStrip(answer, choices, x)
	return err
}

func (chat) event(e object, x extra, c *Completion) (fate, error) {
	if e.has("error") {
		return pass, errors.New("the policy's server broke the stream off")
	}
	before := c.Finish
	choices, err := chatRead(e, c)
	lone := x.usage && len(choices) == 0 && e.has("usage")
	chatStrip(e, choices, x)
	switch {
	case lone:
		return drop, err
	case before == "" && c.Finish != "":
		return last, errors.Join(err, chatBrokenOff(c))
	}
	return pass, err
}

// chatBrokenOff is what vLLM and SGLang say of what they stopped in the middle, for new weights
// above all: the model had not ended.
func chatBrokenOff(c *Completion) error {
	if c.Finish == "abort" || c.Finish == "error" {
		return fmt.Errorf("the policy's server broke the completion off (%s)", c.Finish)
	}
	return nil
}

// chatRead adds what an answer or a chunk says to the completion.
func chatRead(o object, c *Completion) ([]object, error) {
	var choices []object
	err := errors.Join(o.get("choices", &choices), o.get("model", &c.Model), chatUsage(o, c))
	if prompt := []int32(nil); c.Prompt == nil && o.get("prompt_token_ids", &prompt) == nil {
		c.Prompt = prompt
	}
	for _, choice := range choices {
		if choice == nil {
			return nil, errors.New("a choice is null")
		}
		err = errors.Join(err, chatChoose(choice, c))
	}
	return choices, err
}

func chatUsage(o object, c *Completion) error {
	var usage struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
	}
	err := o.get("usage", &usage)
	if o.has("usage") && err == nil {
		c.Usage = Usage{max(usage.Prompt, 0), max(usage.Completion, 0)}
	}
	return err
}

func chatChoose(o object, c *Completion) error {
	var choice chatChoice
	if err := json.Unmarshal(o.bytes(), &choice); err != nil {
		return errors.New("a choice is not what it should be")
	}
	if choice.Index != 0 {
		return fmt.Errorf("there is a choice %d, where one was asked for", choice.Index)
	}
	if c.Prompt == nil {
		c.Prompt = choice.Prompt
	}
	c.Sampled = extend(c.Sampled, choice.TokenIDs)
	fromMeta := len(choice.Meta.Output) > 0 && choice.TokenIDs == nil
	for _, t := range choice.Meta.Output {
		if fromMeta {
			c.Sampled = append(c.Sampled, t.id)
		}
		if fromMeta || choice.Logprobs == nil {
			c.Logprobs = append(c.Logprobs, t.logprob)
		}
	}
	if choice.Logprobs != nil && !fromMeta {
		for _, t := range choice.Logprobs.Content {
			c.Logprobs = append(c.Logprobs, t.Logprob)
		}
	}
	if choice.Finish != nil {
		c.Finish = *choice.Finish
	}
	return nil
}

// extend keeps apart that there are no tokens and that none were told.
func extend(to, more []int32) []int32 {
	if more == nil {
		return to
	}
	if to == nil {
		to = []int32{}
	}
	return append(to, more...)
}

// chatStrip takes out what the agent did not ask for.
func chatStrip(o object, choices []object, x extra) {
	if x.ids {
		delete(o, "prompt_token_ids")
	}
	if x.usage {
		delete(o, "usage")
	}
	for _, choice := range choices {
		if x.logprobs && choice.has("logprobs") {
			choice["logprobs"] = json.RawMessage("null") // a member that OpenAI's API always has
		}
		if x.ids {
			delete(choice, "token_ids")
			delete(choice, "prompt_token_ids")
		}
		if x.meta {
			delete(choice, "meta_info")
		}
	}
	if choices != nil {
		o.put("choices", choices)
	}
}

func (chat) failure(f failure) object { return openAIFailure(f) }

// openAIFailure is what OpenAI's clients read of an error.
func openAIFailure(f failure) object {
	o := object{}
	o.put("error", map[string]any{"message": f.text, "type": f.kind, "code": f.kind, "param": nil})
	return o
}
