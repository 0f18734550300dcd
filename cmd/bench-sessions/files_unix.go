//go:build unix

package main

import "syscall"

// openFiles is how many files this process and its children may have open, after asking for
// as many as are wanted: only root gets more than the hard limit.
func openFiles() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Cur >= wantedFiles {
		return int(min(limit.Cur, 1<<30)), nil
	}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: wantedFiles, Max: max(wantedFiles, limit.Max)}) == nil {
		return wantedFiles, nil
	}
	// Said again, because children get what was there at the start unless something was set.
	limit.Cur = limit.Max
	return int(limit.Cur), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
