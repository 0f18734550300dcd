package datasets

import (
	"encoding/json"
	"fmt"
	"os"
)

// A Manifest is what a dataset was made of and what is in it; it is manifest.json. Equal
// manifests are equal datasets.
type Manifest struct {
	Schema     int         `json:"astra_dataset"` // 1
	Settings   Options     `json:"settings"`
	Inputs     []Input     `json:"inputs,omitempty"`
	Read       int         `json:"read"`   // trajectories, and lines that were none
	Digest     string      `json:"digest"` // of the trajectories that were read, in order
	LeftOut    []Count     `json:"left_out"`
	Losses     []Count     `json:"losses"`     // what rows do not say that their trajectory did
	Components int         `json:"components"` // groups of servers that no split divides
	Splits     []Split     `json:"splits"`
	Statistics *Statistics `json:"statistics,omitempty"`
	Files      []File      `json:"files"`
}

// An Input is a file that trajectories were read from.
type Input struct {
	Name   string `json:"name"` // without its directory
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"`
}

// A Split is train or eval.
type Split struct {
	Name    string  `json:"name"`
	Rows    int     `json:"rows"`
	Share   float64 `json:"share"` // of all rows
	Servers int     `json:"servers"`
	Shards  int     `json:"shards"`
}

// A File is one of the dataset's, but for the manifest itself.
type File struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"`
}

func (m *Manifest) rows() int {
	n := 0
	for _, s := range m.Splits {
		n += s.Rows
	}
	return n
}

func readManifest(path string, m *Manifest) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, m); err != nil {
		return err
	}
	if m.Schema != 1 {
		return fmt.Errorf("%s is no manifest of ours", path)
	}
	return nil
}
