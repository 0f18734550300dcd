package agent

import "strings"

// mask hides secrets in what an error says; the error itself stays findable by errors.Is.
func mask(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	return &masked{err: err, text: maskText(err.Error(), secrets...)}
}

func maskText(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 4 { // shorter ones are no secrets, and would blot out ordinary words
			text = strings.ReplaceAll(text, s, "****")
		}
	}
	return text
}

type masked struct {
	err  error
	text string
}

func (m *masked) Error() string { return m.text }
func (m *masked) Unwrap() error { return m.err }
