package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names of the token files in a store's directory.
const (
	controlToken  = "control.token"
	explorerToken = "explorer.token"
)

// token reads a token of a store, or makes it on first use. Only the owner calls it. A
// file that others can read is no secret, and is refused.
func token(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return readToken(path)
	}
	if err != nil {
		return "", err
	}
	t := rand.Text()
	_, err = f.WriteString(t + "\n")
	return t, errors.Join(err, f.Sync(), f.Close())
}

func readToken(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", failf("chmod 600 "+path, "others can read %s", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	t := strings.TrimSpace(string(b))
	if len(t) < 16 {
		return "", failf("Delete it: astra makes a new one.", "%s has no token of at least 16 characters", path)
	}
	return t, nil
}

// tokenPath is for people to read.
func (a *app) tokenPath(name string) string {
	return fmt.Sprint(filepath.Join(a.config.Dir, name))
}
