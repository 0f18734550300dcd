package mcp

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
)

// maxInstructions is what Claude Code keeps of a server's instructions, and some to spare.
const maxInstructions = 2000

const maxTitle = 120

// clean makes text of a bundle fit to be shown: no control characters but line breaks and
// tabs, and none of the invisible ones that reorder or hide what a person sees.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, text)
}

// line is clean on one line of at most n bytes.
func line(text string, n int) string {
	return cut(strings.Join(strings.Fields(clean(text)), " "), n)
}

// cut shortens text to at most n bytes, at a rune.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

// orName is a title, or else the name.
func orName(title, name string) string {
	if t := line(title, maxTitle); t != "" {
		return t
	}
	return name
}

// cleanArena returns a view whose texts are fit to be shown; the view itself is shared.
func cleanArena(a astra.PublicArena) astra.PublicArena {
	a.Title, a.Description = orName(a.Title, a.Name), clean(a.Description)
	a.Domain, a.License, a.Version = line(a.Domain, maxTitle), line(a.License, maxTitle), line(a.Version, maxTitle)
	a.Tools = slices.Clone(a.Tools)
	for i := range a.Tools {
		t := &a.Tools[i]
		t.Title, t.Description = orName(t.Title, t.Name), clean(t.Description)
	}
	return a
}

func cleanTasks(of []astra.PublicTask) []astra.PublicTask {
	tasks := list(slices.Clone(of))
	for i := range tasks {
		tasks[i].Title = line(tasks[i].Title, maxTitle)
	}
	return tasks
}

func agentInstructions(a astra.PublicArena) string {
	return cut("Tools of one episode in "+orName(a.Title, a.Name)+": use them to do what the user asks for. "+
		"The prompt messages holds the conversation so far; the resource astra://episode what you have done. "+
		"Tools keep state between calls, and calls are counted, so make no needless ones. "+
		"A failed call says why: mend the arguments and try again. New tools may appear when the user writes again. "+
		"Once the episode is over, no tool works any more.\n\n"+clean(a.Description), maxInstructions)
}

func explorerInstructions(a astra.PublicArena) string {
	return cut("Practice in the arena "+orName(a.Title, a.Name)+": use it to play its tasks, or to try its tools freely. "+
		"1. episode_open {task} starts a task and returns its first message; leave task out to play freely. "+
		"2. Call the arena's tools; pass episode_id unless your client keeps a session, in which the last opened episode is meant. "+
		"3. episode_turn {reply} answers the user and returns the next message, if there is one. "+
		"4. episode_submit {answer} ends the episode and shows the score with its reasons. "+
		"episode_status tells where an episode is. Calls are counted. An episode left alone ends after a while: then open another.\n\n"+
		clean(a.Description), maxInstructions)
}

const lobbyInstructions = "Practice in all arenas of this astra: use it to find an arena and play its tasks. " +
	"1. arena_search {query} finds arenas; arena_describe {arena} lists the tools and tasks of one. " +
	"2. episode_open {arena, task} starts a task and returns its first message and the tools in view; leave task out to play freely. " +
	"3. episode_call {tool, args} calls a tool; pass episode_id unless your client keeps a session, in which the last opened episode is meant. " +
	"4. episode_turn {reply} answers the user and returns the next message, if there is one. " +
	"5. episode_submit {answer} ends the episode and shows the score with its reasons. " +
	"Calls are counted. An episode left alone ends after a while: then open another."
