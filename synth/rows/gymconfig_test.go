package rows_test

import (
	"bytes"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/rows"
)

// What is written is YAML, whatever the names, and its first block has nothing to start.
func TestGymConfig(t *testing.T) {
	for at, host := range map[string]string{"http://127.0.0.1:8082": "127.0.0.1", "http://[::1]:8082/": "[::1]", "http://arenas:8082": "arenas"} {
		var b bytes.Buffer
		if err := rows.WriteGymConfig(&b, &rows.GymConfig{URL: at, Rows: `odd: "name".jsonl`, Split: astra.SplitTrain, Agent: "a: b"}); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Astra struct {
				Running map[string]struct {
					Host       string
					Port       int
					Entrypoint string
				}
			}
			Agent struct {
				Agents map[string]struct{ Datasets []map[string]string } `yaml:"responses_api_agents"`
			} `yaml:"a: b"`
		}
		if err := yaml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v\n%s", err, &b)
		}
		if s := got.Astra.Running["astra"]; s.Host != host || s.Port != 8082 || s.Entrypoint != "" {
			t.Errorf("%s: %+v", at, s)
		}
		if d := got.Agent.Agents["simple_agent"].Datasets[0]; d["jsonl_fpath"] != `odd: "name".jsonl` || d["type"] != "train" || d["license"] != "TBD" {
			t.Errorf("data set %v", d)
		}
	}
	for _, at := range []string{"", "https://a:1", "http://a:1/nemo-gym", "http://u:p@a:1", "a:1", "http://a:1?x"} {
		if err := rows.WriteGymConfig(&bytes.Buffer{}, &rows.GymConfig{URL: at}); err == nil {
			t.Errorf("%q is taken", at)
		}
	}
}
