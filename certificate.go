package astra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
)

// CertificateSchema is the version of the form of a certificate.
const CertificateSchema = 1

// CertificateFile is where a bundle keeps its certificate; it is no part of the digest.
const CertificateFile = certificateFile

// TasksFile is where a bundle keeps its tasks.
const TasksFile = tasksFile

// What a certificate may hold: a task or an arena can be wrong in more ways than anybody
// reads, and what a bundle claims of itself is a stranger's text.
const (
	MaxCertificateBytes = 1 << 20
	MaxChecks           = 64   // of a certificate
	MaxFigures          = 32   // of a check
	MaxFindings         = 20   // of a check; More counts the others
	MaxFindingText      = 1000 // bytes
)

// A Certificate is what an arena has been found to do, check by check. Equal arenas, runtimes
// and certifiers give equal certificates: nothing in it tells when or where it was made. It
// is a claim: whoever did not make it must not rely on it.
type Certificate struct {
	Schema        int                `json:"schema"`
	Arena         string             `json:"arena"` // its name
	Digest        Digest             `json:"digest"`
	Runtime       RuntimeKind        `json:"runtime"`
	RuntimeDigest string             `json:"runtime_digest"`
	Certifier     string             `json:"certifier"` // version of the checks
	Limits        []Figure           `json:"limits"`    // what was asked of the checks; see the certifier
	Passed        bool               `json:"passed"`    // every check
	Tasks         int                `json:"tasks"`
	Mutation      Mutation           `json:"mutation"`
	Checks        []CertificateCheck `json:"checks"` // in the certifier's order
}

// A Mutation score tells how many wrong answers were made of the right ones, and how many
// of them the verifiers refused.
type Mutation struct {
	Made    int `json:"made"`
	Refused int `json:"refused"`
}

// Score is the share of wrong answers that was refused, in [0,1]; 1 if none was made.
func (m Mutation) Score() float64 {
	if m.Made == 0 {
		return 1
	}
	return float64(m.Refused) / float64(m.Made)
}

// A CertificateCheck is the outcome of one check. It has passed if nothing was found and
// nothing stayed unknown.
type CertificateCheck struct {
	Name     string    `json:"name"`
	Passed   bool      `json:"passed"`
	Unknown  int       `json:"unknown,omitempty"` // what could not be checked; never a pass
	Figures  []Figure  `json:"figures"`           // in the check's order
	Findings []Finding `json:"findings,omitempty"`
	More     int       `json:"more,omitempty"` // findings beyond those listed
}

// A Figure is a count or a rate.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// A Finding says what is wrong and what its author should do. It may quote what no door
// shows, so it is for the control side alone.
type Finding struct {
	Task    string `json:"task,omitempty"`
	Tool    string `json:"tool,omitempty"`
	Subtask string `json:"subtask,omitempty"`
	Text    string `json:"text"`
}

// First is the first finding and the check that made it; nil if there is none.
func (c *Certificate) First() (check string, f *Finding) {
	for i := range c.Checks {
		if len(c.Checks[i].Findings) > 0 {
			return c.Checks[i].Name, &c.Checks[i].Findings[0]
		}
	}
	return "", nil
}

// JSON is the certificate as it stands in a bundle: equal certificates have equal bytes.
func (c *Certificate) JSON() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c.listed()); err != nil {
		panic("astra: a certificate that is no JSON: " + err.Error()) // NaN in a figure: the certifier's bug
	}
	return b.Bytes()
}

// listed has empty lists where c has none.
func (c *Certificate) listed() *Certificate {
	l := *c
	l.Limits = append([]Figure{}, c.Limits...)
	l.Checks = append([]CertificateCheck{}, c.Checks...)
	for i := range l.Checks {
		l.Checks[i].Figures = append([]Figure{}, l.Checks[i].Figures...)
	}
	return &l
}

// ReadCertificate reads the bytes of a CERTIFICATE.json. Keys that it does not know,
// and claims that contradict each other, are refused: the error is a *BundleErrors.
func ReadCertificate(b []byte) (*Certificate, error) {
	var bad refusals
	const fix = "write it with astra certify"
	if len(b) > MaxCertificateBytes {
		bad.add(CertificateFile, 0, fix, "%d bytes; a certificate may have %d", len(b), MaxCertificateBytes)
		return nil, bad.err()
	}
	v, err := parseJSON(b, 8)
	if err != nil {
		bad.add(CertificateFile, 0, fix, "%v", err)
		return nil, bad.err()
	}
	c := new(Certificate)
	(&filler{&bad, CertificateFile}).fill(v, "", reflect.ValueOf(c).Elem())
	if err := bad.err(); err != nil {
		return nil, err
	}
	if err := c.sound(); err != nil {
		bad.add(CertificateFile, 0, fix, "%v", err)
	}
	return c, bad.err()
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// sound says in what a certificate contradicts itself.
func (c *Certificate) sound() error {
	switch {
	case c.Schema != CertificateSchema:
		return fmt.Errorf("schema %d; this astra reads %d", c.Schema, CertificateSchema)
	case !digestForm.MatchString(string(c.Digest)):
		return fmt.Errorf("%s is no digest of an arena", clip(string(c.Digest)))
	case c.Certifier == "" || c.RuntimeDigest == "":
		return errors.New("it does not say what made it: certifier and runtime_digest are empty")
	case len(c.Checks) == 0 || len(c.Checks) > MaxChecks || len(c.Limits) > MaxFigures:
		return fmt.Errorf("%d checks and %d limits; there are 1 to %d and at most %d", len(c.Checks), len(c.Limits), MaxChecks, MaxFigures)
	case c.Tasks < 0 || c.Mutation.Refused < 0 || c.Mutation.Refused > c.Mutation.Made:
		return errors.New("its counts make no sense")
	}
	passed := true
	for i := range c.Checks {
		if err := c.Checks[i].sound(); err != nil {
			return fmt.Errorf("check %s: %w", clip(c.Checks[i].Name), err)
		}
		passed = passed && c.Checks[i].Passed
	}
	if passed != c.Passed {
		return errors.New("passed does not say what its checks say")
	}
	return nil
}

func (k *CertificateCheck) sound() error {
	switch {
	case !plainName(k.Name):
		return errors.New("its name is none")
	case len(k.Figures) > MaxFigures || len(k.Findings) > MaxFindings:
		return fmt.Errorf("%d figures and %d findings; a check has at most %d and %d", len(k.Figures), len(k.Findings), MaxFigures, MaxFindings)
	case k.Unknown < 0 || k.More < 0:
		return errors.New("its counts are negative")
	case k.Passed != (len(k.Findings)+k.More+k.Unknown == 0):
		return errors.New("passed does not say what was found")
	case slices.ContainsFunc(k.Findings, func(f Finding) bool { return f.Text == "" || len(f.Text) > MaxFindingText }):
		return fmt.Errorf("a finding has 1 to %d bytes of text", MaxFindingText)
	}
	return nil
}

// Certificate reads the certificate in the bundle; nil if there is none. It is a claim of
// whoever made the bundle.
func (b *Bundle) Certificate() (*Certificate, error) {
	text, ok := b.File(CertificateFile)
	if !ok {
		return nil, nil
	}
	c, err := ReadCertificate(text)
	if err == nil && c.Digest != b.Digest() {
		var bad refusals
		bad.add(CertificateFile, 0, "run astra certify again", "it is of the digest %s, and this arena is %s", c.Digest, b.Digest())
		err = bad.err()
	}
	return c, err
}

// WithCertificate returns the bundle with a certificate in the place of the one it may have.
// Its digest is as before.
func (b *Bundle) WithCertificate(c *Certificate) (*Bundle, error) {
	if c.Digest != b.Digest() {
		return nil, fmt.Errorf("%w: the certificate is of the digest %s, and this arena is %s", ErrRefused, c.Digest, b.Digest())
	}
	files := slices.DeleteFunc(slices.Clone(b.files), func(f File) bool { return f.Path == CertificateFile })
	return NewBundle(append(files, File{CertificateFile, c.JSON()}))
}
