package astra

import "encoding/json"

// A PublicTask is all that any door shows of a task.
type PublicTask struct {
	ID         string   `json:"id"`
	Title      string   `json:"title,omitempty"`
	Difficulty float64  `json:"difficulty,omitempty"`
	Tools      []string `json:"tools"`           // in view now
	Turns      []Turn   `json:"turns,omitempty"` // handed out so far
}

// Public returns the task's public view before it is played.
func (t *Task) Public(a *Arena) PublicTask {
	return PublicTask{ID: t.ID, Title: t.Title, Difficulty: t.Difficulty, Tools: a.InitialTools(t)}
}

// A PublicArena is all that any door shows of an arena.
type PublicArena struct {
	Name        string        `json:"name"`
	Version     string        `json:"version"`
	Digest      Digest        `json:"digest"`
	Title       string        `json:"title"`
	Description string        `json:"description"`
	Domain      string        `json:"domain,omitempty"`
	License     string        `json:"license,omitempty"`
	Runtime     RuntimeKind   `json:"runtime"`
	Tools       []PublicTool  `json:"tools"`
	Tasks       map[Split]int `json:"tasks"` // how many of each split
}

// A PublicTool is a tool as agents see it.
type PublicTool struct {
	Name        string          `json:"name"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output,omitempty"`
	Annotations Annotations     `json:"annotations"`
}

// Public returns the tool's public view.
func (t *Tool) Public() PublicTool {
	return PublicTool{Name: t.Name, Title: t.Title, Description: t.Description, Input: t.Input, Output: t.Output, Annotations: t.Annotations}
}

// Public returns the arena's public view.
func (a *Arena) Public() PublicArena {
	p := PublicArena{Name: a.Name, Version: a.Version, Digest: a.Digest, Title: a.Title, Description: a.Description,
		Domain: a.Domain, License: a.License, Runtime: a.Runtime, Tasks: map[Split]int{}}
	for i := range a.Tools {
		p.Tools = append(p.Tools, a.Tools[i].Public())
	}
	for i := range a.Tasks {
		p.Tasks[a.Tasks[i].Split]++
	}
	return p
}
