package questions

import (
	"context"
	"embed"

	"github.com/astra-arenas/astra/synth/ask"
)

//go:embed prompts
var prompts embed.FS

//go:embed schemas
var schemas embed.FS

// ask asks the author's model.
func askModel[T any](ctx context.Context, a *Author, spent *ask.Spent, q ask.Question, check func(*T) error) (*T, *ask.Miss, error) {
	q.Schema = schemaOf(q.Step)
	return ask.Ask(ctx, &a.asker, spent, q, check)
}

// schemaOf is the schema of a step's replies; some steps reply alike.
func schemaOf(step string) string {
	switch step {
	case "dependency", "atomicity":
		return "judgements"
	case "scaling":
		return "document"
	}
	return step
}
