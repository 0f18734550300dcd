package llm

import (
	"maps"
	"slices"
	"sync"
)

// Prices are what a million tokens cost, in whatever money the operator counts.
type Prices struct {
	Input  float64
	Output float64
	Cached *float64 // of input that the server had read before; nil: as other input
}

// Cost is what tokens cost.
func (p Prices) Cost(u Usage) float64 {
	cached := p.Input
	if p.Cached != nil {
		cached = *p.Cached
	}
	return (float64(u.Input-u.Cached)*p.Input + float64(u.Cached)*cached + float64(u.Output)*p.Output) / 1e6
}

// A Bill is what was asked for one purpose. Replies from a cache are not in it: they were
// paid for when they were first given.
type Bill struct {
	Purpose  string  `json:"purpose,omitempty"`
	Calls    int64   `json:"calls"`    // completions asked for
	Failures int64   `json:"failures"` // of these, not answered
	Retries  int64   `json:"retries"`  // attempts after the first
	Usage    Usage   `json:"usage"`
	Cost     float64 `json:"cost"`
}

// A Meter counts what models are asked, by purpose. A nil one counts nothing. It is safe
// for concurrent use.
type Meter struct {
	prices Prices

	mu    sync.Mutex
	bills map[string]*Bill
}

// NewMeter returns a meter that has counted nothing.
func NewMeter(p Prices) *Meter { return &Meter{prices: p, bills: map[string]*Bill{}} }

// Bills are what was counted so far, in the order of their purposes.
func (m *Meter) Bills() []Bill {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Bill
	for _, purpose := range slices.Sorted(maps.Keys(m.bills)) {
		b := *m.bills[purpose]
		b.Cost = m.prices.Cost(b.Usage)
		all = append(all, b)
	}
	return all
}

// Total is the sum of all bills.
func (m *Meter) Total() Bill {
	var sum Bill
	for _, b := range m.Bills() {
		sum.Calls += b.Calls
		sum.Failures += b.Failures
		sum.Retries += b.Retries
		sum.Usage.Add(b.Usage)
	}
	if m != nil {
		sum.Cost = m.prices.Cost(sum.Usage)
	}
	return sum
}

// Add makes u the sum of both.
func (u *Usage) Add(other Usage) {
	u.Input += other.Input
	u.Output += other.Output
	u.Cached += other.Cached
	u.Reasoning += other.Reasoning
}

func (m *Meter) begin(purpose string)   { m.count(purpose, func(b *Bill) { b.Calls++ }) }
func (m *Meter) failed(purpose string)  { m.count(purpose, func(b *Bill) { b.Failures++ }) }
func (m *Meter) retried(purpose string) { m.count(purpose, func(b *Bill) { b.Retries++ }) }
func (m *Meter) answered(purpose string, u Usage) {
	m.count(purpose, func(b *Bill) { b.Usage.Add(u) })
}

func (m *Meter) count(purpose string, change func(*Bill)) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.bills[purpose]
	if b == nil {
		b = &Bill{Purpose: purpose}
		m.bills[purpose] = b
	}
	change(b)
}
