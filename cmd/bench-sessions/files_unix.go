//go:build linux || darwin

package main

import "syscall"

// openFiles is how many files this process and its children may have open, after asking for
// as many as are wanted: only root gets more than the hard limit.
func openFiles(wanted int) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Cur < uint64(wanted) {
		more := syscall.Rlimit{Cur: uint64(wanted), Max: max(uint64(wanted), limit.Max)}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) == nil {
			return wanted, nil
		}
		limit.Cur = limit.Max
	}
	// Said even if it is so already: Go raised it for this process alone, and gives children what
	// was there at the start unless something was set.
	return int(min(limit.Cur, 1<<30)), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
