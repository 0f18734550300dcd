package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer/batches"
	"github.com/astra-arenas/astra/trainer/groups"
	"github.com/astra-arenas/astra/trainer/samples"
)

// Batches is what trainers that come by themselves ask of a queue, whose methods say what
// they promise. It is safe for concurrent use.
type Batches interface {
	Add(ctx context.Context, g groups.Group) (kept bool, err error)
	Lease(ctx context.Context) (*batches.Batch, error)
	Wait(ctx context.Context) (*batches.Batch, error)
	Ack(ctx context.Context, lease string) error
	Nack(ctx context.Context, lease string) error
	Extend(ctx context.Context, lease string) error
	Publish(ctx context.Context, version int64, model string) error
	Status() batches.Status
}

// Samples makes of a group what a trainer takes. It is safe for concurrent use.
type Samples interface {
	Samples(ctx context.Context, g groups.Group) ([]samples.Sample, error)
}

// LeaseBody asks for a batch.
type LeaseBody struct {
	Wait int64 `json:"wait,omitempty"` // seconds until one is ready, at most 60; default 0
}

// LeasedBody names a batch by its lease, which is a secret of the trainer that has it.
type LeasedBody struct {
	Lease string `json:"lease"`
}

// PublishBody names a policy version.
type PublishBody struct {
	Version *int64 `json:"version"`
	Model   string `json:"model,omitempty"` // as the policy's server names it; default as before
}

// GroupBody names a group of episodes.
type GroupBody struct {
	Group string `json:"group"`
}

// GroupReply says what became of a group that was added.
type GroupReply struct {
	groups.Group
	Kept bool `json:"kept"` // its rewards differ enough to tell something
}

// BatchReply is a batch that was leased, and what is trained on.
type BatchReply struct {
	batches.Batch
	Samples []samples.Sample `json:"samples"` // of the groups, in their order and that of their members
}

// maxWait is well within the time that a request may take.
const maxWait = 60

var errNoBatch = errors.New("no batch has become ready")

// trains refuses where nothing is handed out to trainers.
func (a *api) trains() error {
	if a.opts.Batches == nil || a.opts.Samples == nil {
		return fmt.Errorf("%w: this server hands out no batches; start it with --batch", astra.ErrUnsupported)
	}
	return nil
}

func (a *api) readTrainer(c echo.Context, body any) error {
	if err := a.trains(); err != nil {
		return err
	}
	return a.read(c, body)
}

func (a *api) leaseBatch(c echo.Context) error {
	var body LeaseBody
	if err := a.readTrainer(c, &body); err != nil {
		return err
	}
	if body.Wait < 0 || body.Wait > maxWait {
		return fmt.Errorf("%w: wait is a number of seconds up to %d", astra.ErrRefused, maxWait)
	}
	b, err := a.nextBatch(c.Request().Context(), time.Duration(body.Wait)*time.Second)
	if err != nil {
		return err
	}
	if b == nil {
		return c.NoContent(http.StatusNoContent)
	}
	reply, err := a.sampled(c.Request().Context(), b)
	if err != nil {
		return err
	}
	return a.ok(c, reply)
}

// nextBatch leases a batch; nil if none becomes ready in time.
func (a *api) nextBatch(ctx context.Context, wait time.Duration) (*batches.Batch, error) {
	if wait == 0 {
		return a.opts.Batches.Lease(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, errNoBatch)
	defer cancel()
	b, err := a.opts.Batches.Wait(ctx)
	if late := errors.Is(err, errNoBatch) || errors.Is(err, context.DeadlineExceeded); late && context.Cause(ctx) == errNoBatch {
		return nil, nil
	}
	return b, err
}

// sampled adds what is trained on. A batch that cannot be read stays leased until its lease
// runs out, so that those behind it are handed out meanwhile; one whose trainer went away is
// given back at once.
func (a *api) sampled(ctx context.Context, b *batches.Batch) (*BatchReply, error) {
	reply := &BatchReply{Batch: *b, Samples: []samples.Sample{}}
	for _, g := range b.Groups {
		list, err := a.opts.Samples.Samples(ctx, g)
		if err != nil {
			err = fmt.Errorf("batch %s: %w", b.ID, err)
			if ctx.Err() != nil {
				err = errors.Join(err, a.opts.Batches.Nack(context.WithoutCancel(ctx), b.Lease))
			}
			return nil, err
		}
		reply.Samples = append(reply.Samples, list...)
	}
	return reply, nil
}

func (a *api) ackBatch(c echo.Context) error    { return a.leased(c, Batches.Ack) }
func (a *api) nackBatch(c echo.Context) error   { return a.leased(c, Batches.Nack) }
func (a *api) extendBatch(c echo.Context) error { return a.leased(c, Batches.Extend) }

func (a *api) leased(c echo.Context, do func(Batches, context.Context, string) error) error {
	var body LeasedBody
	if err := a.readTrainer(c, &body); err != nil {
		return err
	}
	if err := do(a.opts.Batches, c.Request().Context(), body.Lease); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (a *api) publishPolicy(c echo.Context) error {
	var body PublishBody
	if err := a.readTrainer(c, &body); err != nil {
		return err
	}
	if body.Version == nil || *body.Version < 0 {
		return fmt.Errorf("%w: version is a number from 0", astra.ErrRefused)
	}
	if len(body.Model) > maxModel {
		return fmt.Errorf("%w: a model's name has at most %d bytes", astra.ErrRefused, maxModel)
	}
	if err := a.opts.Batches.Publish(c.Request().Context(), *body.Version, body.Model); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// maxModel is more than any path of weights has.
const maxModel = 1024

// addGroup has the episodes of a group, which somebody else rolled out, wait for a batch.
func (a *api) addGroup(c echo.Context) error {
	var body GroupBody
	if err := a.readTrainer(c, &body); err != nil {
		return err
	}
	g, err := samples.Group(c.Request().Context(), a.eps, body.Group)
	if err != nil {
		return err
	}
	kept, err := a.opts.Batches.Add(c.Request().Context(), g)
	if err != nil {
		return err
	}
	return a.ok(c, GroupReply{g, kept})
}

func (a *api) batchStatus(c echo.Context) error {
	if err := a.trains(); err != nil {
		return err
	}
	return a.ok(c, a.opts.Batches.Status())
}
