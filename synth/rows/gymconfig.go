package rows

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/astra-arenas/astra"
)

// A GymConfig has NeMo Gym's agents play rows at a server of ours.
type GymConfig struct {
	URL       string      // of the faces
	Rows      string      // file of the rows, as NeMo Gym is to find it
	Split     astra.Split // of the rows; "" if of several
	License   string      // of the arenas, if they have one in common
	Agent     string      // name of the agent's server; default DefaultGymAgent
	Gymnasium bool        // rows are for the Gymnasium agent
	Steps     int         // of that agent at most
	Older     bool        // for a NeMo Gym before 0.7, which knows no environment servers
}

// gymLicenses are the names that NeMo Gym has for licences (config_types.py, DatasetConfig);
// a data set to train on is refused without one of its own list.
var gymLicenses = map[string]string{"Apache-2.0": "Apache 2.0", "MIT": "MIT", "CC-BY-4.0": "Creative Commons Attribution 4.0 International",
	"CC-BY-SA-4.0": "Creative Commons Attribution-ShareAlike 4.0 International", "GPL-3.0-only": "GNU General Public License v3.0"}

// WriteGymConfig writes what `gym env start --config` and NeMo RL's config_paths read: our
// server, the agent and its data set. The policy's server is not in it.
//
// NeMo Gym starts each server that has an entrypoint, and refuses references to one that has
// none. Its launcher and its clients look at the first block under a name, and its check at
// the block resources_servers, whatever is before it (0.4.0 and 0.7.0): so the first block
// says where our server runs, with nothing to start, and the second is there for the check.
func WriteGymConfig(w io.Writer, c *GymConfig) error {
	host, port, err := gymAddress(c.URL)
	if err != nil {
		return err
	}
	agent, kind, settings := quoted(cmp.Or(c.Agent, DefaultGymAgent)), "simple_agent", ""
	if c.Gymnasium {
		kind, settings = "gymnasium_agent", fmt.Sprintf("\n      max_steps: %d", c.Steps)
	}
	_, err = fmt.Fprintf(w, gymConfig, quoted(host), port, quoted(host), port, agent, kind, settings,
		gymDataset(c.Split), gymDataset(c.Split), quoted(c.Rows), quoted(cmp.Or(gymLicenses[c.License], "TBD")))
	if err == nil && !c.Older {
		_, err = fmt.Fprintf(w, gymEnvironment, quoted(cmp.Or(c.Agent, DefaultGymAgent)+"_environment_server"), agent)
	}
	return err
}

// gymEnvironment stands before an agent. 0.7.0 makes one up where there is none, and warns;
// later versions refuse that.
const gymEnvironment = `%s:
  environment_servers:
    legacy_agent:
      entrypoint: app.py
      agent_server: {type: responses_api_agents, name: %s}
`

const gymConfig = `# Written by astra export nemo-gym. Start the server of arenas first: astra serve --faces ADDRESS ARENA…
astra:
  running: # the first block is where it is; nothing is started, as it has no entrypoint
    astra: {host: %s, port: %s}
  resources_servers: # for the check that what the agent names is there
    astra: {entrypoint: app.py, domain: agent, host: %s, port: %s}
%s:
  responses_api_agents:
    %s:
      entrypoint: app.py%s
      resources_server: {type: resources_servers, name: astra}
      model_server: {type: responses_api_models, name: policy_model}
      datasets:
      - {name: %s, type: %s, jsonl_fpath: %s, license: %s}
`

// gymAddress takes a URL apart as NeMo Gym will put it together: http, host and port.
func gymAddress(at string) (host, port string, err error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", "", fmt.Errorf("%q is not http://HOST:PORT, which is all that NeMo Gym can say of a server; the rows name the arena", at)
	}
	host = u.Hostname()
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		host = "[" + host + "]" // NeMo Gym puts a colon and the port behind it
	}
	return host, cmp.Or(u.Port(), "80"), nil
}

// gymDataset is what NeMo Gym calls a split.
func gymDataset(s astra.Split) string {
	switch s {
	case astra.SplitTrain:
		return "train"
	case astra.SplitValidation, astra.SplitTest:
		return "validation"
	}
	return "example"
}
