package httpapi_test

import (
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi"
)

func TestCatalog(t *testing.T) {
	h := newHouse(t)
	var all httpapi.CatalogReply
	h.expect(&all, 200, "GET", "/v1/arenas/shop/catalog", "")
	if len(all.Tasks) != 4 || len(all.ToolSets) != 2 || !strings.HasPrefix(all.Arena, "shop@") {
		t.Fatalf("catalog has %d tasks and %d tool sets of %s", len(all.Tasks), len(all.ToolSets), all.Arena)
	}
	if first := all.Tasks[0]; first.ID != "restock" || first.Turns != 2 || first.Own != 2 || !first.Grows || first.Split != astra.SplitTrain {
		t.Errorf("restock = %+v", first)
	}
	if count := all.Tasks[1]; count.Grows || len(all.ToolSets[count.ToolSet]) != 3 || len(all.ToolSets[all.Tasks[0].ToolSet]) != 2 {
		t.Errorf("count = %+v of %d tool sets", count, len(all.ToolSets))
	}
	var held httpapi.CatalogReply
	h.expect(&held, 200, "GET", "/v1/arenas/shop/catalog?split=test", "")
	if len(held.Tasks) != 1 || held.Tasks[0].ID != "held" || held.Tasks[0].Grows {
		t.Errorf("catalog of the test split = %+v", held)
	}
	for path, want := range map[string]int{"/v1/arenas/none/catalog": 404, "/v1/arenas/shop/catalog?split=half": 400} {
		if p := h.do("GET", path, "").problem(t); p.Status != want {
			t.Errorf("%s: %+v, want %d", path, p, want)
		}
	}
}

// A request whose answer was lost is made again, and is the same episode.
func TestOpenAgain(t *testing.T) {
	h := newHouse(t)
	const key = "000102030405060708090a0b0c0d0e0f"
	var first, again gateway.Opening
	h.expect(&first, 201, "POST", "/v1/episodes", `{"arena":"shop","task":"count","key":"`+key+`"}`)
	h.expect(&again, 201, "POST", "/v1/episodes", `{"arena":"shop","task":"count","key":"`+key+`"}`)
	if first.Key != key || again.Episode != first.Episode {
		t.Errorf("opened %+v, then %+v", first, again)
	}
	if p := h.do("POST", "/v1/episodes", `{"arena":"shop","task":"broken","key":"`+key+`"}`).problem(t); p.Type != "urn:astra:problem:idempotency" {
		t.Errorf("another task with that key: %+v", p)
	}
	for _, weak := range []string{"a", "k" + key, strings.ToUpper(key)} {
		if p := h.do("POST", "/v1/episodes", `{"arena":"shop","task":"count","key":"`+weak+`"}`).problem(t); p.Type != "urn:astra:problem:refused" {
			t.Errorf("key %s: %+v", weak, p)
		}
	}
}
