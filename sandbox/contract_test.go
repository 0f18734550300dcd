package sandbox

import (
	"os"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway/runtimetest"
)

func TestContract(t *testing.T) {
	code, err := os.ReadFile("testdata/contract.js")
	if err != nil {
		t.Fatal(err)
	}
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			runtimetest.Run(t, newTestRuntime(t, o), runtimetest.Arena(t, astra.JavaScript, "tools.js", code))
		})
	}
}

func TestPythonContract(t *testing.T) {
	code, err := os.ReadFile("testdata/contract.py")
	if err != nil {
		t.Fatal(err)
	}
	for way, o := range ways {
		t.Run(way, func(t *testing.T) {
			runtimetest.Run(t, newTestPython(t, o), runtimetest.Arena(t, astra.Python, "tools.py", code))
		})
	}
}
