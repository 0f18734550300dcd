package certify

import (
	"context"
	"slices"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// A Certifier is what a gateway is given that requires certificates: these checks, with
// these options. The zero value has the defaults.
type Certifier struct{ Options Options }

// Certify implements gateway.Certifier.
func (c Certifier) Certify(ctx context.Context, g *gateway.Gateway, ref string) (*astra.Certificate, error) {
	return Arena(ctx, g, ref, &c.Options)
}

// Current implements gateway.Certifier.
func (c Certifier) Current(old *astra.Certificate) bool {
	return old.Certifier == Version && slices.Equal(old.Limits, c.Options.Limits())
}
