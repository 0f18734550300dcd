package astra

import "io"

// A Bundle is the files of an arena, sorted by path.
type Bundle struct {
	files  []File
	digest Digest
}

// A File is one regular file of a bundle. Paths are relative, NFC, with "/".
type File struct {
	Path string
	Data []byte
}

// ReadBundle reads a directory or an .arena file.
func ReadBundle(path string) (*Bundle, error) { panic("todo") }

// UnpackBundle reads the bytes of an .arena file.
func UnpackBundle(b []byte) (*Bundle, error) { panic("todo") }

// NewBundle makes a bundle of files in memory.
func NewBundle(files []File) (*Bundle, error) { panic("todo") }

// Files returns the bundle's files, sorted by path. They must not be changed.
func (b *Bundle) Files() []File { return b.files }

// File returns the content of a path.
func (b *Bundle) File(path string) ([]byte, bool) { panic("todo") }

// Digest names the content.
func (b *Bundle) Digest() Digest { return b.digest }

// Pack writes the bundle as one reproducible .arena file.
func (b *Bundle) Pack(w io.Writer) error { panic("todo") }

// Load parses and validates the arena in the bundle.
func (b *Bundle) Load() (*Arena, error) { panic("todo") }

// Load reads and validates the arena at a path.
func Load(path string) (*Arena, error) {
	b, err := ReadBundle(path)
	if err != nil {
		return nil, err
	}
	return b.Load()
}
