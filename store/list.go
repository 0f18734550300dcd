package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/astra-arenas/astra"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
	// maxScan bounds the work for one page. A query that selects few of many may so get a short or
	// empty page that has a Next.
	maxScan = 10_000
)

// List returns a page of episodes, newest first. Filters may be combined. Group, arena with
// task, arena, and open or submitted status each have an index; the narrowest one is walked and the
// other filters are held against the summaries. Next is "" at the end only: a page may be
// short because of the bound on scanning. Episodes opened while a listing is paged
// through do not disturb it. A bad cursor or limit is astra.ErrRefused.
func (s *Store) List(ctx context.Context, q astra.Query) (astra.Page, error) {
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	after, err := decodeCursor(q.Cursor)
	if err == nil && (q.Limit < 0 || q.Limit > maxLimit) {
		err = fmt.Errorf("%w: limit %d: want 1 to %d", astra.ErrRefused, q.Limit, maxLimit)
	}
	var page astra.Page
	if err == nil {
		err = s.view(ctx, func(txn *badger.Txn) (err error) {
			page, err = list(ctx, txn, q, after)
			return err
		})
	}
	if err != nil {
		return astra.Page{}, fmt.Errorf("list episodes: %w", err)
	}
	return page, nil
}

func list(ctx context.Context, txn *badger.Txn, q astra.Query, after string) (astra.Page, error) {
	page := astra.Page{Episodes: []astra.Summary{}}
	scanned, last := 0, after
	for p, err := range places(ctx, txn, indexOf(q), after, true) {
		if err != nil {
			return page, err
		}
		if len(page.Episodes) == q.Limit || scanned == maxScan {
			page.Next = encodeCursor(last)
			return page, nil
		}
		id, _ := splitPlace(p)
		h, err := readHead(txn, id)
		if err != nil && !errors.Is(err, astra.ErrNotFound) {
			return page, err
		}
		if err == nil && selects(q, &h.Summary) {
			page.Episodes = append(page.Episodes, h.Summary)
		}
		scanned, last = scanned+1, p
	}
	return page, nil
}

// indexOf returns the prefix of the narrowest index for a query.
func indexOf(q astra.Query) string {
	switch {
	case q.Group != "":
		return groupPrefix(q.Group)
	case q.Status == astra.StatusOpen || q.Status == astra.StatusSubmitted:
		return openPrefix
	case q.Arena != "" && q.Task != "":
		return taskPrefix(q.Arena, q.Task)
	case q.Arena != "":
		return arenaPrefix(q.Arena)
	}
	return timePrefix
}

func selects(q astra.Query, s *astra.Summary) bool {
	return (q.Arena == "" || q.Arena == s.Arena) && (q.Task == "" || q.Task == s.Task) &&
		(q.Group == "" || q.Group == s.Group) && (q.Mode == "" || q.Mode == s.Mode) &&
		(q.Status == "" || q.Status == s.Status)
}

func encodeCursor(place string) string { return base64.RawURLEncoding.EncodeToString([]byte(place)) }

func decodeCursor(c string) (place string, err error) {
	if c == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err == nil {
		if _, ok := splitPlace(string(b)); ok {
			return string(b), nil
		}
	}
	return "", fmt.Errorf("%w: cursor %.64q: want the next of the page before", astra.ErrRefused, c)
}
