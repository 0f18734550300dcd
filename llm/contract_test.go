package llm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway/runtimetest"
)

func TestContract(t *testing.T) {
	bothWays(t, func(t *testing.T, way string) {
		fake := newFake(t, func(c *chat) string { return contractTool(c.document(t)) })
		runtimetest.Run(t, NewEmulated(fake.model(way), nil), runtimetest.Arena(t, astra.Emulated, "", nil))
	})
}

// contractTool is a model that reads documents well.
func contractTool(d document) string {
	var args struct {
		N       float64
		Bytes   int
		Message string
		Value   json.RawMessage
	}
	var scenario struct{ Total float64 }
	var memory struct{ Total *struct{ Value float64 } }
	_ = json.Unmarshal(d.Arguments, &args)
	_ = json.Unmarshal(d.Scenario, &scenario)
	_ = json.Unmarshal(d.Memory, &memory)
	total := scenario.Total
	if memory.Total != nil {
		total = memory.Total.Value
	}
	result := "null"
	switch d.Tool.Name {
	case "add":
		total += args.N
		result = fmt.Sprint(total)
	case "total":
		result = fmt.Sprint(total)
	case "roll":
		result = "0.25"
	case "clock":
		result = fmt.Sprint(d.Now.UnixMilli())
	case "seed":
		result = fmt.Sprint(d.Seed)
	case "echo":
		result = string(args.Value)
	case "big":
		result = `"` + strings.Repeat("x", args.Bytes) + `"`
	case "fail":
		failure, _ := json.Marshal(args.Message)
		return fmt.Sprintf(`{"error":%s,"memory":{"total":{"value":%v}}}`, failure, total+1)
	}
	return fmt.Sprintf(`{"result":%s,"memory":{"total":{"value":%v}}}`, result, total)
}
