package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/astra-arenas/astra"
)

func (a *api) health(c echo.Context) error { return a.ok(c, statusReply{"ok"}) }

// ready asks the store for one episode: without a store nothing can be opened.
func (a *api) ready(c echo.Context) error {
	if _, err := a.eps.List(c.Request().Context(), astra.Query{Limit: 1}); err != nil {
		return err
	}
	return a.ok(c, statusReply{"ready"})
}

func (a *api) stats(c echo.Context) error { return a.ok(c, a.eps.Stats()) }

func (a *api) capacity(c echo.Context) error { return a.ok(c, a.eps.Capacity()) }

func (a *api) listArenas(c echo.Context) error {
	arenas, err := a.eps.PublicArenas(c.Request().Context())
	if err != nil {
		return err
	}
	return a.ok(c, ArenasReply{arenas})
}

// addArena reads the whole bundle, so only a few may be on their way at a time.
func (a *api) addArena(c echo.Context) error {
	ctx := c.Request().Context()
	select {
	case a.uploads <- struct{}{}:
		defer func() { <-a.uploads }()
	case <-ctx.Done():
		return ctx.Err()
	}
	arena, err := a.upload(ctx, c.Request().Body)
	if err != nil {
		return err
	}
	return a.write(c, http.StatusCreated, plainJSON, arena.Public())
}

func (a *api) upload(ctx context.Context, body io.Reader) (*astra.Arena, error) {
	packed, err := io.ReadAll(body)
	if err != nil {
		return nil, bodyError(err)
	}
	bundle, err := astra.UnpackBundle(packed)
	if err != nil {
		return nil, err
	}
	return a.eps.AddArena(ctx, bundle)
}

func (a *api) getArena(c echo.Context) error {
	arena, err := a.eps.PublicArena(c.Request().Context(), path(c, "arena"))
	if err != nil {
		return err
	}
	return a.ok(c, arena)
}

// certificate has findings that quote what no agent may see, as the state of a world does.
func (a *api) certificate(c echo.Context) error {
	found, err := a.eps.Certificate(c.Request().Context(), path(c, "arena"))
	if err != nil {
		return err
	}
	return a.ok(c, found)
}

func (a *api) listTasks(c echo.Context) error {
	split, err := oneOf(c, "split", splits...)
	if err != nil {
		return err
	}
	tasks, err := a.eps.Tasks(c.Request().Context(), path(c, "arena"), split)
	if err != nil {
		return err
	}
	return a.ok(c, TasksReply{tasks})
}

func (a *api) getTask(c echo.Context) error {
	id := path(c, "task")
	tasks, err := a.eps.Tasks(c.Request().Context(), path(c, "arena"), "")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if t.ID == id {
			return a.ok(c, t)
		}
	}
	return fmt.Errorf("task %q: %w", id, astra.ErrNotFound)
}
