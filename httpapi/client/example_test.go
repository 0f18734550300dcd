package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/client"
)

// A harness opens an episode, plays it on its agent's behalf, and reads the reward. The
// token lies beside the store, in control.token.
func Example() {
	ctx := context.Background()
	control, err := client.New("http://127.0.0.1:8081", "the token", nil)
	if err != nil {
		log.Fatal(err)
	}
	ep, err := control.Open(ctx, gateway.OpenRequest{Arena: "inventory", Task: "hinge-price", Mode: astra.Train})
	if err != nil {
		log.Fatal(err)
	}
	step, err := control.Call(ctx, ep.Episode, astra.Call{Tool: "find_items", Args: json.RawMessage(`{"query":"brass hinge"}`)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(step.Result.Text()) // what the agent reads; a failure too
	answer := "2.35"
	score, err := control.Submit(ctx, ep.Episode, astra.Submitted{Answer: &answer})
	if err != nil {
		log.Fatal(err) // an episode that cannot be judged is an error, never a reward of 0
	}
	fmt.Println(score.Reward)
}
