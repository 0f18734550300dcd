//go:build !linux

package sandbox

import "errors"

// newMapped is Linux's alone: it needs files in memory and the kernel's page tables.
func newMapped(int) (memories, error) { return nil, errors.New("only on Linux") }
