package astra

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A home directory given by mistake is noticed before it is read. The real limit would
// take seconds of making folders.
func TestDirReaderCountsNames(t *testing.T) {
	dir := t.TempDir()
	for i := range 6 {
		if err := os.MkdirAll(filepath.Join(dir, "a", fmt.Sprint(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for most, refused := range map[int]bool{6: true, 7: false} {
		r := &dirReader{root: root, most: most}
		if err := r.read(".", 0); err != nil {
			t.Fatal(err)
		}
		err := r.bad.err()
		if (err != nil) != refused || refused && !strings.HasPrefix(err.Error(), "a: more than 6 names") {
			t.Errorf("with room for %d names: %v", most, err)
		}
	}
}
