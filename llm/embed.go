package llm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// An Embedder makes vectors of texts, behind a server that speaks OpenAI's embeddings
// protocol. It is safe for concurrent use.
type Embedder struct {
	opts    Options
	service openai.EmbeddingService
}

// NewEmbedder returns an embedder; the base URL is by default https://api.openai.com/v1/.
// Of the options, those that speak of completions have no meaning here.
func NewEmbedder(opts Options) (*Embedder, error) {
	opts, err := opts.ready("https://api.openai.com/v1/")
	if err != nil {
		return nil, err
	}
	settings := []option.RequestOption{option.WithBaseURL(strings.TrimSuffix(opts.BaseURL, "/") + "/"), option.WithHTTPClient(opts.client()),
		option.WithMaxRetries(opts.Retries), option.WithRequestTimeout(opts.Timeout)}
	if opts.APIKey != "" {
		settings = append(settings, option.WithAPIKey(opts.APIKey))
	}
	return &Embedder{opts, openai.NewEmbeddingService(settings...)}, nil
}

// maxEmbedded is how many texts are sent at once: few servers take more.
const maxEmbedded = 64

// Embed returns a vector for each text, in order. An error is ErrModel.
func (e *Embedder) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	var all [][]float32
	for batch := range slices.Chunk(texts, maxEmbedded) {
		vectors, err := e.embed(ctx, batch)
		if err != nil {
			return nil, e.opts.trouble(ctx, err)
		}
		all = append(all, vectors...)
	}
	return all, nil
}

func (e *Embedder) embed(ctx context.Context, texts []string) ([][]float32, error) {
	response, err := e.service.New(ctx, openai.EmbeddingNewParams{Model: e.opts.Model, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: texts},
		EncodingFormat: openai.EmbeddingNewParamsEncodingFormatFloat})
	if err != nil {
		return nil, err
	}
	vectors := make([][]float32, len(texts))
	for _, d := range response.Data {
		if d.Index < 0 || d.Index >= int64(len(texts)) || vectors[d.Index] != nil {
			return nil, fmt.Errorf("the server sent a vector for text %d of %d", d.Index, len(texts))
		}
		v := make([]float32, len(d.Embedding))
		for i, f := range d.Embedding {
			v[i] = float32(f)
		}
		vectors[d.Index] = v
	}
	if i := slices.IndexFunc(vectors, func(v []float32) bool { return len(v) == 0 }); i >= 0 {
		return nil, fmt.Errorf("the server sent no vector for text %d of %d", i+1, len(texts))
	}
	return vectors, nil
}
