package nemogym

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A row is a line of a dataset, as harnesses send it with whatever they added; most of it is
// not ours, and is echoed as it came.
type row map[string]json.RawMessage

// A place is a task of an arena; a part that nobody named is "".
type place struct {
	Arena  string       `json:"arena"`
	Digest astra.Digest `json:"digest"`
	Task   string       `json:"task"`
}

// takesMask reports whether who wrote a row wants to be told by mask_sample that its rollout
// cannot be judged, and not by an error.
func (w row) takesMask() bool {
	var meta struct {
		Invalid string `json:"invalid"`
	}
	return json.Unmarshal(w["verifier_metadata"], &meta) != nil || meta.Invalid != "error"
}

// ref names the arena as the gateway knows it.
func (p place) ref() string {
	if p.Digest == "" {
		return p.Arena
	}
	return p.Arena + "@" + string(p.Digest)
}

// place is the task that a row names: by verifier_metadata, whose arena may have its digest
// after an @, or else by task_id, which is TASK, ARENA/TASK or an object with a task_id of this form.
func (w row) place() (place, error) {
	var p place
	if meta, there := w["verifier_metadata"]; there {
		if err := json.Unmarshal(meta, &p); err != nil {
			return p, harness.Refuse(http.StatusUnprocessableEntity, "verifier_metadata is not {arena, digest, task}: %.200s", err)
		}
	}
	if name, digest, both := strings.Cut(p.Arena, "@"); both && p.Digest == "" {
		p.Arena, p.Digest = name, astra.Digest(digest)
	}
	if p.Task != "" {
		return p, nil
	}
	p.Task = taskID(w["task_id"])
	if arena, task, two := strings.Cut(p.Task, "/"); two {
		p.Arena, p.Task = arena, task
	}
	if p.Task == "" {
		return p, harness.Refuse(http.StatusUnprocessableEntity,
			"the row names no task: it needs verifier_metadata {arena, digest, task}, as `astra export nemo-gym` writes it, or task_id")
	}
	return p, nil
}

// named is a row that has a task_id, unless it has one of its own.
func (w row) named(id json.RawMessage) row {
	named := row{"task_id": id}
	for k, v := range w {
		named[k] = v
	}
	return named
}

// taskID reads a task_id of either generation, "" if it is neither's.
func taskID(raw json.RawMessage) string {
	var id string
	if json.Unmarshal(raw, &id) == nil {
		return id
	}
	var object struct {
		ID string `json:"task_id"`
	}
	if json.Unmarshal(raw, &object) != nil {
		return ""
	}
	return object.ID
}

// at holds a row's place to the arena that the URL names, if it names one.
func (p place) at(ref string) (place, error) {
	name, digest, _ := strings.Cut(ref, "@")
	switch {
	case ref == "" && p.Arena == "":
		return p, harness.Refuse(http.StatusUnprocessableEntity, "neither the row nor the URL names an arena: set verifier_metadata.arena, or use /nemo-gym/ARENA")
	case ref == "":
		return p, nil
	case p.Arena != "" && p.Arena != name:
		return p, harness.Refuse(http.StatusUnprocessableEntity, "the row is of arena %.80q, and this URL is that of arena %.80q; use the URL without an arena for rows of several", p.Arena, name)
	case digest != "" && p.Digest != "" && string(p.Digest) != digest:
		return p, harness.Refuse(http.StatusUnprocessableEntity, "the row is of %.80s, and this URL is that of %.80s: another version of the arena; export the rows again", p.Digest, digest)
	}
	p.Arena = name
	if p.Digest == "" {
		p.Digest = astra.Digest(digest)
	}
	return p, nil
}

// member reads a member, which stays as it is where there is none or it is null.
func member(w row, name string, into any) error {
	raw, there := w[name]
	if !there {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return harness.Refuse(http.StatusUnprocessableEntity, "%s is not as it should be: %.200s", name, err)
	}
	return nil
}

// text is a member that is a string, nil if there is none.
func text(w row, name string) (s *string, err error) {
	return s, member(w, name, &s)
}
