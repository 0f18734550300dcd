package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/astra-arenas/astra"
)

// Values this long go to the value log. It is badger's ceiling: what can stay in the tables
// stays there, since only there one file holds a whole commit.
const valueThreshold = 1 << 20

// Tables are of one size at every level; badger would double it at each. While it
// compacts it pools up to eight buffers of twice the largest table. Measured with the default
// options after 100,000 episodes at full speed: up to 500 MiB of heap, 23 MiB once it has
// rested for 20 seconds, which is the memtable. Smaller tables would be too many memory maps
// for a kernel's default limit of 65,530.
const tableSize = 4 << 20

func badgerOptions(dir string, o *Options) badger.Options {
	opts := badger.DefaultOptions(filepath.Join(dir, "db")).
		WithLogger(badgerLog{o.Logger}).
		WithMetricsEnabled(false). // they are global to the process
		WithDetectConflicts(false).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(2 * maxEvent).
		WithVerifyValueChecksum(true).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithMemTableSize(o.Memtable).
		WithNumMemtables(2).
		WithBlockCacheSize(o.Cache).
		WithIndexCacheSize(o.Cache).
		WithNumCompactors(2).
		WithNumGoroutines(2).
		WithBaseTableSize(tableSize)
	opts.TableSizeMultiplier = 1
	return opts
}

// openBadger opens the database after a look at what badger would pass over in silence,
// or end the process for.
func openBadger(dir string, o *Options) (*badger.DB, error) {
	opts := badgerOptions(dir, o)
	if err := removeEmpty(opts.Dir); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	if err := inspect(opts); err != nil {
		return nil, damaged(dir, err)
	}
	db, err := badger.Open(opts)
	if err == nil {
		return db, nil
	}
	if isEnvironment(err) {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	return nil, damaged(dir, err)
}

// isEnvironment tells trouble with the disk or the process from damage. badger hides
// causes in text, so this reads it.
func isEnvironment(err error) bool {
	text := err.Error()
	return slices.ContainsFunc([]string{"no space left", "permission denied", "too many open files",
		"read-only file system", "cannot allocate memory", "directory lock", "file too large"},
		func(s string) bool { return strings.Contains(text, s) })
}

func damaged(dir string, err error) error {
	return fmt.Errorf("%w: %s: %w: keep a copy of the directory, then put back a backup, or start with another directory",
		astra.ErrStoreCorrupt, dir, err)
}

// removeEmpty removes logs without a byte. A process that is killed between creating a
// log and giving it its size leaves one, and so does one killed while deleting it;
// badger cannot open either.
func removeEmpty(db string) error {
	names, err := readNames(db)
	for _, n := range names {
		if err != nil || !strings.HasSuffix(n, ".mem") && !strings.HasSuffix(n, ".vlog") {
			continue
		}
		path := filepath.Join(db, n)
		var fi os.FileInfo
		if fi, err = os.Lstat(path); err == nil && fi.Size() == 0 {
			err = os.Remove(path)
		}
	}
	return err
}

// inspect reads the manifest and verifies every table it names, block by block. badger
// alone would skip a table that fails, and delete all of them if the manifest is missing.
func inspect(opts badger.Options) (err error) {
	names, err := readNames(opts.Dir)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(opts.Dir, badger.ManifestFilename))
	if os.IsNotExist(err) {
		return needNoManifest(names)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	defer func() { // badger panics on some damage
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	m, _, err := badger.ReplayManifestFile(f, 0, opts)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	for id, t := range m.Tables {
		if err := inspectTable(table.NewFilename(id, opts.Dir), t.Compression); err != nil {
			return err
		}
	}
	return nil
}

func needNoManifest(names []string) error {
	for _, n := range names {
		if strings.HasSuffix(n, ".sst") || strings.HasSuffix(n, ".mem") {
			return fmt.Errorf("there is %s, but %s is missing", n, badger.ManifestFilename)
		}
	}
	return nil
}

func inspectTable(path string, c options.CompressionType) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %.200v", path, r)
		}
	}()
	f, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	t, err := table.OpenTable(f, table.Options{ReadOnly: true, Compression: c, BlockSize: 4 << 10, ChkMode: options.NoVerification})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err) // OpenTable has closed the file
	}
	if err := errors.Join(t.VerifyChecksum(), t.Close(-1)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readError says what an error of a read of badger's means.
func readError(key string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, badger.ErrKeyNotFound) {
		return astra.ErrNotFound
	}
	return fmt.Errorf("%w: %s: %w", astra.ErrStoreCorrupt, key, err)
}

// badgerLog hands badger's lines to slog. What badger calls information is of no use to
// whoever runs astra.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any)   { l.print(slog.LevelError, format, args) }
func (l badgerLog) Warningf(format string, args ...any) { l.print(slog.LevelWarn, format, args) }
func (l badgerLog) Infof(format string, args ...any)    { l.print(slog.LevelDebug, format, args) }
func (l badgerLog) Debugf(string, ...any)               {} // one a write

func (l badgerLog) print(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "badger", "line", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
