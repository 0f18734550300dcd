package astra

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// maxArchiveBytes bounds an .arena file: a bundle as large as may be, stored without
// compression, and its directory.
const maxArchiveBytes = MaxBundleBytes + MaxFiles*1024

// packed is the time of every file in an .arena file: the earliest that zip can say.
var packed = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Pack writes the bundle as one reproducible .arena file: a zip of its files in order,
// with fixed times. Files are stored, not compressed: what a compressor writes changes
// with its version, and would then change the bytes of a bundle that nobody touched.
func (b *Bundle) Pack(w io.Writer) error {
	z := zip.NewWriter(w)
	for _, f := range b.files {
		h := &zip.FileHeader{Name: f.Path, Method: zip.Store, Modified: packed}
		h.SetMode(0o644)
		entry, err := z.CreateHeader(h)
		if err != nil {
			return fmt.Errorf("pack %s: %w", f.Path, err)
		}
		if _, err := entry.Write(f.Data); err != nil {
			return fmt.Errorf("pack %s: %w", f.Path, err)
		}
	}
	return z.Close()
}

// UnpackBundle reads the bytes of an .arena file. It takes no more memory than the
// largest bundle, whatever the file claims. A refusal is a *BundleErrors.
func UnpackBundle(b []byte) (*Bundle, error) {
	var bad refusals
	if len(b) > maxArchiveBytes {
		bad.add("", 0, "leave out what the tools do not read", "%d bytes; an .arena file may have %d", len(b), maxArchiveBytes)
		return nil, bad.err()
	}
	// The zip reader keeps some 300 bytes for each entry of the directory, of which a
	// hostile file can hold a million. Signatures are counted first; files
	// that are zips themselves hold some too, hence the slack.
	if n := bytes.Count(b, []byte("PK\x01\x02")); n > 4*MaxFiles {
		bad.add("", 0, "join small files into tables", "%d entries; a bundle may have %d files", n, MaxFiles)
		return nil, bad.err()
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		bad.add("", 0, "make it with astra pack", "not an .arena file (zip): %v", err)
		return nil, bad.err()
	}
	files := unpackEntries(&bad, z.File)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return NewBundle(files)
}

// unpackEntries checks all that the directory claims before it reads anything.
func unpackEntries(bad *refusals, entries []*zip.File) []File {
	var wanted []*zip.File
	var total uint64
	for _, e := range entries {
		if checkEntry(bad, e) {
			wanted = append(wanted, e)
			total += min(e.UncompressedSize64, MaxBundleBytes+1)
		}
	}
	if checkTotals(bad, len(wanted), int(min(total, 1<<40))); len(bad.list) > 0 {
		return nil
	}
	files := make([]File, 0, len(wanted))
	for _, e := range wanted {
		data, err := readEntry(e)
		if err != nil {
			bad.add(e.Name, 0, "pack the bundle again", "cannot be read: %v", err)
			return nil
		}
		files = append(files, File{Path: e.Name, Data: data})
	}
	return files
}

// checkEntry reports whether an entry is a file to be read; folders and hidden names are not.
func checkEntry(bad *refusals, e *zip.File) bool {
	name, isDir := strings.CutSuffix(e.Name, "/")
	why, fix := refusePath(name)
	switch {
	case why != "":
		bad.add("", 0, fix, "path %s %s", clip(e.Name), why)
	case isDir && e.UncompressedSize64 == 0:
	case !e.Mode().IsRegular() || isDir:
		bad.add(name, 0, "put the file itself there", "it is a link or another special file")
	case hidden(name):
	case e.Flags&1 != 0:
		bad.add(name, 0, "pack without a password", "it is encrypted")
	case e.Method != zip.Store && e.Method != zip.Deflate:
		bad.add(name, 0, "store or deflate it", "compression method %d", e.Method)
	case e.UncompressedSize64 > MaxFileBytes:
		bad.add(name, 0, "split it or leave it out", "%d bytes; a file may have %d", e.UncompressedSize64, MaxFileBytes)
	default:
		return true
	}
	return false
}

// readEntry reads an entry and holds it to its declared size.
func readEntry(e *zip.File) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var buf bytes.Buffer // grows with what is there, not with what is claimed
	n, err := io.Copy(&buf, io.LimitReader(r, int64(e.UncompressedSize64)+1))
	if err == nil && uint64(n) != e.UncompressedSize64 {
		err = errors.New("its size is not the declared one")
	}
	return buf.Bytes(), err
}

// ReadBundle reads a directory or an .arena file. Links are refused, also inside a
// directory. A refusal is a *BundleErrors; other errors are the file system's.
func ReadBundle(path string) (*Bundle, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return readDir(path)
	}
	if !info.Mode().IsRegular() {
		return nil, &BundleErrors{List: []*BundleError{refusal(path, 0, "name a directory or an .arena file", "neither")}}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxArchiveBytes+1))
	if err != nil {
		return nil, err
	}
	return UnpackBundle(b)
}

func readDir(dir string) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	r := &dirReader{root: root, most: maxNames}
	if err := r.read(".", 0); err != nil {
		return nil, err
	}
	if err := r.bad.err(); err != nil {
		return nil, err
	}
	return NewBundle(r.files)
}

// What is looked at of a directory: it may hold hidden names and folders besides its files.
const (
	maxFolders = 32 // of folders in folders
	maxNames   = 4 * MaxFiles
)

// A dirReader collects the files of a directory, never following a link.
type dirReader struct {
	root  *os.Root
	files []File
	total int64
	names int // seen so far
	most  int // maxNames
	bad   refusals
}

func (r *dirReader) read(dir string, depth int) error {
	d, err := r.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	entries, err := d.ReadDir(r.most + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if r.names += len(entries); r.names > r.most {
		r.bad.add(dir, 0, "name the arena's own directory", "more than %d names; a bundle may have %d files", r.most, MaxFiles)
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := r.entry(path.Join(dir, e.Name()), e, depth); err != nil {
			return err
		}
	}
	return nil
}

func (r *dirReader) entry(name string, e fs.DirEntry, depth int) error {
	switch {
	case len(r.bad.list) >= maxRefusals || len(r.files) > MaxFiles || r.total > MaxBundleBytes:
		return nil // what is refused already is refused by NewBundle or bad
	case e.IsDir() && depth >= maxFolders:
		r.bad.add(name, 0, "move its files up", "folders more than %d deep", maxFolders)
	case e.IsDir():
		return r.read(name, depth+1)
	case !e.Type().IsRegular():
		r.bad.add(name, 0, "put the file itself there", "it is a link or another special file")
	default:
		return r.file(name)
	}
	return nil
}

func (r *dirReader) file(name string) error {
	f, err := r.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.total += int64(len(data))
	r.files = append(r.files, File{Path: name, Data: data})
	return nil
}
