package astra

import "encoding/json"

// UnknownCall is what an agent is told of a call that neither the cassette knows nor
// anybody can be asked. It reached no tool, so it has no part in the keys of later calls.
const UnknownCall = "the recording does not know this call"

// Recordings are the entries that the steps of one world make, in the order of its calls:
// the scenario is the world's, nil if it had none. What reached no tool, and what a limit
// undid, is left out.
func (m Match) Recordings(scenario json.RawMessage, steps []Step) []Recording {
	var all []Recording
	k := CassetteStart(scenario)
	for _, s := range steps {
		if r := s.Result; r.Fault == FaultAgent || r.Breach || r.Injected || r.Error == UnknownCall && r.Log == "" {
			continue
		}
		k = m.Next(k, s.Tool, s.Args)
		all = append(all, Recording{Key: k, Tool: s.Tool, Args: s.Args, Result: s.Result})
	}
	return all
}
