package servers

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A Reach is how a real MCP server is reached. Nothing in it is a secret: where a document
// has one, or may have one, there is a variable of the operator's environment, ${NAME}.
type Reach struct {
	URL       string
	Headers   map[string]string
	Variables []Variable // that URL and Headers name, sorted
}

// A Variable stands for what is not kept.
type Variable struct {
	Name  string `json:"name"`  // such as WEATHER__AUTHORIZATION
	Holds string `json:"holds"` // what to set it to, in words
}

// paperCall is call_info in its three forms.
type paperCall struct {
	Mock    any               `json:"mock_tool,omitempty"`
	URL     string            `json:"url,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	SDK     string            `json:"python_sdk_url,omitempty"`
	Config  any               `json:"python_sdk_config,omitempty"` // an object, or its JSON as text
}

// reach is nil where there is no real server. Errors quote no URL: it may have a password.
func (c *paperCall) reach(alias string) (*Reach, error) {
	if c == nil || c.Mock != nil || c.URL == "" && c.SDK == "" {
		return nil, nil
	}
	if c.URL != "" {
		return NewReach(alias, c.URL, c.Headers)
	}
	v := &veil{alias: alias, holds: map[string]string{}}
	address, err := v.smithery(c)
	if err != nil {
		return nil, fmt.Errorf("call_info.python_sdk_url: %w", err)
	}
	return &Reach{URL: address, Variables: v.variables()}, nil
}

// NewReach is how the MCP server of that alias is reached, with variables where secrets are,
// or may be. An error quotes no URL.
func NewReach(alias, address string, headers map[string]string) (*Reach, error) {
	v := &veil{alias: alias, holds: map[string]string{}}
	r := &Reach{Headers: map[string]string{}}
	var err error
	if r.URL, err = v.url(address); err != nil {
		return nil, fmt.Errorf("the url: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !headerName.MatchString(name) {
			return nil, fmt.Errorf("the header %.60q cannot be sent", name)
		}
		r.Headers[name] = v.header(name, headers[name])
	}
	r.Variables = v.variables()
	return r, nil
}

func (v *veil) variables() (all []Variable) {
	for _, name := range slices.Sorted(maps.Keys(v.holds)) {
		all = append(all, Variable{name, v.holds[name]})
	}
	return all
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)

// A veil puts variables where secrets are.
type veil struct {
	alias string
	holds map[string]string // what each variable holds
}

// variable is a reference to a fresh variable. Two underscores end the alias: my-server's
// KEY must not be my's SERVER_KEY.
func (v *veil) variable(key, holds string) string {
	whole := identifier(strings.ToUpper(v.alias + "__" + key))
	name := whole
	for i := 2; v.holds[name] != ""; i++ {
		name = fmt.Sprintf("%s_%d", whole, i)
	}
	v.holds[name] = holds
	return "${" + name + "}"
}

// shared is a variable that all servers of one kind have in common.
func (v *veil) shared(name, holds string) string {
	v.holds[name] = holds
	return "${" + name + "}"
}

// header keeps the scheme of a credential, which is none.
func (v *veil) header(name, value string) string {
	scheme, _, found := strings.Cut(value, " ")
	if found && (scheme == "Bearer" || scheme == "Basic" || scheme == "Token") {
		return scheme + " " + v.variable(name, "what the header "+name+" has after "+scheme)
	}
	return v.variable(name, "the header "+name)
}

// url keeps the scheme, the host, and of the path what looks like words.
func (v *veil) url(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", errors.New("it is none of a web server")
	}
	if strings.ContainsAny(u.Path, "{}") {
		return "", errors.New("a placeholder is in its path")
	}
	if strings.Contains(raw, "${") { // it would be filled in from the operator's environment
		return "", errors.New("it has a ${, and only what astra puts there may be a variable")
	}
	var b strings.Builder
	b.WriteString(u.Scheme + "://")
	if u.User != nil {
		b.WriteString(v.variable("user", "user and password of the URL, as user:password") + "@")
	}
	b.WriteString(u.Host)
	for i, segment := range strings.Split(u.EscapedPath(), "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		if looksSecret(segment) {
			segment = v.variable("path", "a part of the URL's path")
		}
		b.WriteString(segment)
	}
	b.WriteString(v.query(u.RawQuery))
	return b.String(), nil
}

// looksSecret is true of what may be a key: zapier's and others' stand in the path. A word
// taken for one costs its operator a variable.
func looksSecret(segment string) bool {
	return len(segment) >= 16 && strings.ContainsFunc(segment, unicode.IsDigit)
}

// query keeps names alone.
func (v *veil) query(raw string) string {
	if raw == "" {
		return ""
	}
	var pairs []string
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, named := strings.Cut(pair, "=")
		known, ok := v.placeholder(value)
		switch {
		case !named:
			pair = v.variable("query", "a part of the URL's query that has no name")
		case ok:
			pair = key + "=" + known
		case value != "":
			pair = key + "=" + v.variable(key, "the value of "+key+" in the URL's query, URL-encoded")
		}
		pairs = append(pairs, pair)
	}
	return "?" + strings.Join(pairs, "&")
}

// placeholder fills in what the paper's code fills in. {config_b64} is filled by smithery.
func (v *veil) placeholder(s string) (string, bool) {
	switch s {
	case "{smithery_api_key}":
		return v.shared("SMITHERY_API_KEY", "the key of your Smithery account"), true
	case "{smithery_profile}":
		return v.shared("SMITHERY_PROFILE", "the profile of your Smithery account"), true
	case emptyConfig:
		return s, true
	case "{config_b64}":
		return v.variable("config", "python_sdk_config, as base64, URL-encoded"), true
	}
	return "", false
}

// emptyConfig is {} as base64, URL-encoded.
var emptyConfig = url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("{}")))

// smithery is the URL of a server in that registry. A profile is appended where none is
// asked for, as the paper's code does.
func (v *veil) smithery(c *paperCall) (string, error) {
	raw := c.SDK
	if c.noConfig() {
		raw = strings.ReplaceAll(raw, "{config_b64}", emptyConfig)
	}
	address, err := v.url(raw)
	if err != nil {
		return "", err
	}
	if !strings.Contains(address, "profile=") {
		join := "?"
		if strings.Contains(address, "?") {
			join = "&"
		}
		profile, _ := v.placeholder("{smithery_profile}")
		address += join + "profile=" + profile
	}
	return address, nil
}

// noConfig is true where a server is configured with nothing.
func (c *paperCall) noConfig() bool {
	switch v := c.Config.(type) {
	case nil:
		return true
	case string:
		text := strings.TrimSpace(v)
		return text == "" || text == "{}"
	case map[string]any:
		return len(v) == 0
	}
	return false
}
