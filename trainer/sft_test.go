package trainer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer"
)

// shelf is a gateway's reading side over episodes in memory. The way through a real
// gateway and store is tested where the export is served, in httpapi.
type shelf struct {
	episodes []*astra.Episode
	page     int             // episodes a page
	err      error           // of Episode
	asked    []astra.Query   // of List
	tasks    map[string]bool // of the train split
}

func (s *shelf) List(_ context.Context, q astra.Query) (astra.Page, error) {
	s.asked = append(s.asked, q)
	from := 0
	if q.Cursor != "" {
		fmt.Sscan(q.Cursor, &from)
	}
	var p astra.Page
	for i := from; i < len(s.episodes) && i < from+s.page; i++ {
		p.Episodes = append(p.Episodes, s.episodes[i].Summary())
	}
	if from+s.page < len(s.episodes) {
		p.Next = fmt.Sprint(from + s.page)
	}
	return p, nil
}

func (s *shelf) Episode(_ context.Context, id astra.EpisodeID) (*astra.Episode, error) {
	for _, ep := range s.episodes {
		if ep.Episode == id {
			return ep, s.err
		}
	}
	return nil, astra.ErrNotFound
}

func (s *shelf) Tools(context.Context, astra.EpisodeID) ([]astra.PublicTool, error) {
	return []astra.PublicTool{{Name: "find", Input: json.RawMessage(`{"type":"object"}`)}}, nil
}

func (s *shelf) Tasks(_ context.Context, ref string, split astra.Split) ([]astra.PublicTask, error) {
	if ref != "shop@sha256:00" || split != astra.SplitTrain {
		return nil, astra.ErrNotFound
	}
	var out []astra.PublicTask
	for id := range s.tasks {
		out = append(out, astra.PublicTask{ID: id})
	}
	return out, nil
}

func episode(id string, minute int, reward float64, edit func(*astra.Episode)) *astra.Episode {
	answer := "seven"
	ep := &astra.Episode{Opened: astra.Opened{Episode: astra.EpisodeID(id), Arena: "shop", Digest: "sha256:00", Task: "count", Mode: astra.Train},
		Status: astra.StatusScored, Score: &astra.Score{Reward: reward}, Turns: []astra.Turn{{Index: 1, Prompt: "How many?"}},
		Submission: &astra.Submitted{Answer: &answer}, OpenedAt: time.Date(2026, 3, 2, 9, minute, 0, 0, time.UTC)}
	if edit != nil {
		edit(ep)
	}
	return ep
}

func TestExport(t *testing.T) {
	s := &shelf{page: 2, tasks: map[string]bool{"count": true}, episodes: []*astra.Episode{
		episode("late", 9, 0.9, nil),
		episode("b-same-time", 5, 0.5, nil),
		episode("a-same-time", 5, 1, nil),
		episode("poor", 4, 0.4, nil),
		episode("practice", 3, 1, func(e *astra.Episode) { e.Mode = astra.Practice }),
		episode("eval", 3, 1, func(e *astra.Episode) { e.Mode = astra.Eval }),
		episode("invalid", 3, 1, func(e *astra.Episode) { e.Status, e.Score = astra.StatusInvalid, nil }),
		episode("held-out", 3, 1, func(e *astra.Episode) { e.Task = "held" }),
		episode("arena-is-gone", 3, 1, func(e *astra.Episode) { e.Digest = "sha256:11" }),
		episode("early", 1, 0.5, nil),
	}}
	var out strings.Builder
	if err := (trainer.SFT{Episodes: s}).Export(t.Context(), &out, astra.Query{Arena: "shop", Mode: astra.Eval}, 0.5); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		var row struct {
			Messages []astra.ChatMessage
			Tools    []astra.ChatTool
			Metadata astra.TrajectoryOf
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if len(row.Messages) != 2 || len(row.Tools) != 1 || !row.Metadata.Rebuilt {
			t.Errorf("row = %s", line)
		}
		got = append(got, string(row.Metadata.Episode))
	}
	if want := "early a-same-time b-same-time late"; strings.Join(got, " ") != want {
		t.Errorf("exported %v, want %s", got, want)
	}
	for _, q := range s.asked {
		if q.Arena != "shop" || q.Mode != astra.Train || q.Status != astra.StatusScored {
			t.Errorf("asked for %+v", q)
		}
	}
}

func TestExportFails(t *testing.T) {
	s := &shelf{page: 2, tasks: map[string]bool{"count": true}, err: errors.New("the log is damaged"), episodes: []*astra.Episode{episode("one", 1, 1, nil)}}
	err := trainer.SFT{Episodes: s}.Export(t.Context(), new(strings.Builder), astra.Query{}, 0)
	if err == nil || !strings.Contains(err.Error(), "one") {
		t.Errorf("error = %v, want one that names the episode", err)
	}
}

func TestFromEpisode(t *testing.T) {
	for name, edit := range map[string]func(*astra.Episode){
		"practice": func(e *astra.Episode) { e.Mode = astra.Practice },
		"eval":     func(e *astra.Episode) { e.Mode = astra.Eval },
		"open":     func(e *astra.Episode) { e.Status, e.Score = astra.StatusOpen, nil },
		"expired":  func(e *astra.Episode) { e.Status, e.Score = astra.StatusExpired, nil },
	} {
		if _, err := trainer.FromEpisode(episode("one", 1, 1, edit), nil); !errors.Is(err, astra.ErrRefused) {
			t.Errorf("%s: error = %v, want ErrRefused", name, err)
		}
	}
	if _, err := trainer.FromEpisode(episode("one", 1, 0, nil), nil); err != nil {
		t.Errorf("a scored train episode of reward 0: %v", err)
	}
}
