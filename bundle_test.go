package astra_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra"
)

func files(kv ...string) []astra.File {
	var list []astra.File
	for i := 0; i < len(kv); i += 2 {
		list = append(list, astra.File{Path: kv[i], Data: []byte(kv[i+1])})
	}
	return list
}

// The value was computed with sha256sum from the definition in DESIGN.md.
func TestDigest(t *testing.T) {
	b, err := astra.NewBundle(files("data/é.txt", "hello\n", "arena.yaml", "name: x\n", "CERTIFICATE.json", "{}", ".git/config", "x", "data/.cache", "y"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256:ea7e0be08de4e5d15a4a6066f3cd67bdf4930f32d0e701920f06a0d927792242"
	if got := string(b.Digest()); got != want {
		t.Errorf("digest = %s, want %s", got, want)
	}
	if len(b.Files()) != 3 {
		t.Errorf("files = %v, want the two and the certificate", b.Files())
	}
	other, err := astra.NewBundle(files("arena.yaml", "name: x\n", "data/é.txt", "hello\n", "data/CERTIFICATE.json", "{}"))
	if err != nil {
		t.Fatal(err)
	}
	if other.Digest() == b.Digest() {
		t.Error("a CERTIFICATE.json that is not at the root was left out of the digest")
	}
}

func TestFile(t *testing.T) {
	b, err := astra.NewBundle(files("b", "2", "a", "1", "c/d", "3"))
	if err != nil {
		t.Fatal(err)
	}
	if data, ok := b.File("c/d"); !ok || string(data) != "3" {
		t.Errorf("File(c/d) = %q, %v", data, ok)
	}
	if _, ok := b.File("c"); ok {
		t.Error("File(c) found a folder")
	}
}

func TestPackIsReproducible(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, "arena.yaml", inventoryYAML, "tools.js", "export function find_item() {}\n", "tasks.jsonl", restock,
		"data/a.json", "[1]", "CERTIFICATE.json", "{}", ".git/HEAD", "ref", "data/.DS_Store", "junk")
	fromDir, err := astra.ReadBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	packed := pack(t, fromDir)
	path := filepath.Join(t.TempDir(), "inventory.arena")
	if err := os.WriteFile(path, packed, 0o644); err != nil {
		t.Fatal(err)
	}
	fromFile, err := astra.ReadBundle(path)
	if err != nil {
		t.Fatal(err)
	}
	if fromFile.Digest() != fromDir.Digest() {
		t.Errorf("digests differ: %s packed, %s as a directory", fromFile.Digest(), fromDir.Digest())
	}
	if !bytes.Equal(pack(t, fromFile), packed) {
		t.Error("packing the unpacked bundle gives other bytes")
	}
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range z.File { // nothing of the clock, the machine or the compressor
		if f.Modified.UTC().Format(time.RFC3339) != "1980-01-01T00:00:00Z" || f.Method != zip.Store || f.Mode() != 0o644 || f.Name != fromDir.Files()[i].Path {
			t.Errorf("entry %d is %+v", i, f.FileHeader)
		}
	}
	if _, ok := fromFile.File("CERTIFICATE.json"); !ok {
		t.Error("the certificate was not packed")
	}
	if a, err := astra.Load(path); err != nil || a.Name != "inventory" {
		t.Errorf("Load(%s) = %v, %v", path, a, err)
	}
}

func pack(t testing.TB, b *astra.Bundle) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := b.Pack(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func writeFiles(t testing.TB, dir string, kv ...string) {
	t.Helper()
	for i := 0; i < len(kv); i += 2 {
		path := filepath.Join(dir, kv[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(kv[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Paths that are refused wherever a bundle comes from.
var hostilePaths = map[string]struct {
	paths []string
	want  string
}{
	"parent":          {[]string{"../x"}, `path "../x" leaves`},
	"parent inside":   {[]string{"a/../../x"}, "path"},
	"hidden parent":   {[]string{".git/../../x"}, "path"},
	"absolute":        {[]string{"/etc/passwd"}, "path"},
	"dot":             {[]string{"./x"}, "path"},
	"double slash":    {[]string{"a//x"}, "path"},
	"backslash":       {[]string{`a\x`}, "path"},
	"drive":           {[]string{`C:\x`}, "path"},
	"newline":         {[]string{"a\nx"}, "path"},
	"null byte":       {[]string{"a\x00x"}, "path"},
	"not UTF-8":       {[]string{"a\xffx"}, "path"},
	"not NFC":         {[]string{"e\u0301"}, "path"},
	"too long":        {[]string{strings.Repeat("a", 256)}, "path"},
	"twice":           {[]string{"a", "a"}, "a: it is there twice"},
	"case":            {[]string{"A", "a"}, `a: "A" and "a" differ only by case`},
	"case of folder":  {[]string{"D/a", "d/b"}, `d/b: "D" and "d" differ only by case`},
	"case beyond a-z": {[]string{"Ärger", "ärger"}, `ärger: "Ärger" and "ärger" differ only by case`},
	"file and folder": {[]string{"a", "a/b"}, `a/b: "a" is a file and a folder`},
}

func TestNewBundleRefusesPaths(t *testing.T) {
	for name, test := range hostilePaths {
		var list []astra.File
		for _, p := range test.paths {
			list = append(list, astra.File{Path: p})
		}
		t.Run(name, func(t *testing.T) {
			_, err := astra.NewBundle(list)
			refusedWith(t, err, test.want)
		})
	}
}

func TestUnpackRefusesPaths(t *testing.T) {
	for name, test := range hostilePaths {
		t.Run(name, func(t *testing.T) {
			var buf bytes.Buffer
			z := zip.NewWriter(&buf)
			for _, p := range test.paths {
				if _, err := z.Create(p); err != nil {
					t.Skip("the zip writer does not write such a name")
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := astra.UnpackBundle(buf.Bytes())
			refusedWith(t, err, test.want)
		})
	}
}

// zipOf writes one entry with the header as given.
func zipOf(t *testing.T, h *zip.FileHeader, raw []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	w, err := z.CreateRaw(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func deflated(t *testing.T, size int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, _ := flate.NewWriter(&buf, flate.BestCompression)
	if _, err := io.CopyN(w, zeros{}, int64(size)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUnpackRefusesEntries(t *testing.T) {
	link := &zip.FileHeader{Name: "link", Method: zip.Store, UncompressedSize64: 1, CompressedSize64: 1, CRC32: crc32.ChecksumIEEE([]byte("x"))}
	link.SetMode(fs.ModeSymlink | 0o777)
	device := &zip.FileHeader{Name: "dev", Method: zip.Store}
	device.SetMode(fs.ModeDevice | 0o666)
	bomb := deflated(t, 40<<20)
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"not a zip": {[]byte("name: x"), "not an .arena file"},
		"link":      {zipOf(t, link, []byte("x")), "link: it is a link"},
		"device":    {zipOf(t, device, nil), "dev: it is a link or another special file"},
		"encrypted": {zipOf(t, &zip.FileHeader{Name: "a", Flags: 1}, nil), "a: it is encrypted"},
		"method":    {zipOf(t, &zip.FileHeader{Name: "a", Method: 93}, nil), "a: compression method 93"},
		"bomb that says so": {zipOf(t, &zip.FileHeader{Name: "a", Method: zip.Deflate, CompressedSize64: uint64(len(bomb)),
			UncompressedSize64: 40 << 20}, bomb), "a: 41943040 bytes"},
		"bomb that lies": {zipOf(t, &zip.FileHeader{Name: "a", Method: zip.Deflate, CompressedSize64: uint64(len(bomb)),
			UncompressedSize64: 10}, bomb), "a: cannot be read"},
		"size that lies": {zipOf(t, &zip.FileHeader{Name: "a", Method: zip.Store, CompressedSize64: 1,
			UncompressedSize64: 30 << 20}, []byte("x")), "a: cannot be read"},
		"checksum": {zipOf(t, &zip.FileHeader{Name: "a", Method: zip.Store, CompressedSize64: 1,
			UncompressedSize64: 1, CRC32: 7}, []byte("x")), "a: cannot be read"},
		"folder with content": {bytes.ReplaceAll(zipOf(t, &zip.FileHeader{Name: "ab", Method: zip.Store, CompressedSize64: 1,
			UncompressedSize64: 1, CRC32: crc32.ChecksumIEEE([]byte("x"))}, []byte("x")), []byte("ab"), []byte("a/")), "a: it is a link or another special file"},
	} {
		t.Run(name, func(t *testing.T) {
			got := allocated(func() { _, err := astra.UnpackBundle(test.data); refusedWith(t, err, test.want) })
			if got > 4<<20 {
				t.Errorf("took %d bytes of memory to refuse %d", got, len(test.data))
			}
		})
	}
}

// allocated is how many bytes f asked for.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Overlapping files and long directories make little of much, or much of little.
func TestUnpackRefusesNumbers(t *testing.T) {
	var many bytes.Buffer
	z := zip.NewWriter(&many)
	for i := range 100_000 {
		if _, err := z.Create(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got := allocated(func() { _, err := astra.UnpackBundle(many.Bytes()); refusedWith(t, err, "100000 entries") })
	if got > 1<<20 {
		t.Errorf("took %d bytes of memory to refuse a long directory", got)
	}

	data := many.Bytes()
	binary.LittleEndian.PutUint16(data[len(data)-12:], 1) // a directory of one entry, it says
	binary.LittleEndian.PutUint16(data[len(data)-14:], 1)
	_, err := astra.UnpackBundle(data)
	refusedWith(t, err, "")

	var large bytes.Buffer
	z = zip.NewWriter(&large)
	piece := deflated(t, 30<<20)
	for i := range 3 {
		w, err := z.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(i), Method: zip.Deflate, CompressedSize64: uint64(len(piece)), UncompressedSize64: 30 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got = allocated(func() { _, err := astra.UnpackBundle(large.Bytes()); refusedWith(t, err, "94371840 bytes") })
	if got > 1<<20 {
		t.Errorf("took %d bytes of memory to refuse a large bundle", got)
	}
}

func TestNewBundleRefusesNumbers(t *testing.T) {
	var list []astra.File
	for i := range astra.MaxFiles + 1 {
		list = append(list, astra.File{Path: fmt.Sprint(i)})
	}
	_, err := astra.NewBundle(list)
	refusedWith(t, err, "4097 files")
	half := make([]byte, astra.MaxFileBytes)
	_, err = astra.NewBundle([]astra.File{{Path: "a", Data: half}, {Path: "b", Data: half}, {Path: "c", Data: []byte("x")}})
	refusedWith(t, err, "67108865 bytes")
	_, err = astra.NewBundle([]astra.File{{Path: "a", Data: append(half, 'x')}})
	refusedWith(t, err, "a: 33554433 bytes")
}

func TestReadBundleRefusesDirectories(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	writeFiles(t, filepath.Dir(secret), "secret", "s")
	for name, test := range map[string]struct {
		prepare func(dir string) error
		want    string
	}{
		"link to a file":   {func(d string) error { return os.Symlink(secret, filepath.Join(d, "data")) }, "data: it is a link"},
		"link to a folder": {func(d string) error { return os.Symlink(filepath.Dir(secret), filepath.Join(d, "data")) }, "data: it is a link"},
		"link within":      {func(d string) error { return os.Symlink("arena.yaml", filepath.Join(d, "other.yaml")) }, "other.yaml: it is a link"},
		"case": {func(d string) error {
			return os.WriteFile(filepath.Join(d, "ARENA.yaml"), nil, 0o644)
		}, `arena.yaml: "ARENA.yaml" and "arena.yaml" differ`},
		"too deep": {func(d string) error { return os.MkdirAll(filepath.Join(d, strings.Repeat("d/", 40)), 0o755) }, "d/d/d"},
		"large file": {func(d string) error {
			f, err := os.Create(filepath.Join(d, "large"))
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(1 << 40)
		}, "large: 33554433 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, "arena.yaml", inventoryYAML)
			if err := test.prepare(dir); err != nil {
				t.Fatal(err)
			}
			_, err := astra.ReadBundle(dir)
			refusedWith(t, err, test.want)
		})
	}
	if _, err := astra.ReadBundle(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("error of a missing path = %v", err)
	}
}
