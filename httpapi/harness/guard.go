package harness

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A Refusal is what a harness may have got wrong, and may read.
type Refusal struct {
	Status int // of HTTP
	Text   string
}

func (r *Refusal) Error() string { return r.Text }

// Refuse makes a Refusal.
func Refuse(status int, format string, args ...any) error {
	return &Refusal{status, fmt.Sprintf(format, args...)}
}

// quote shows foreign text, and no more of it than people read.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}

// A Gate says who may come in to a face. It is safe for concurrent use.
type Gate struct {
	token [sha256.Size]byte
	open  bool
	hosts []string
}

// NewGate returns a gate that asks for a token, or for none if it is "". hosts are the Host
// names taken besides the loopback's where a listener is on the loopback.
func NewGate(token string, hosts []string) *Gate {
	return &Gate{sha256.Sum256([]byte(token)), token == "", slices.Clone(hosts)}
}

// Guard lets requests in that Admit does; fail answers the others, in the face's own words.
func (g *Gate) Guard(next http.Handler, fail func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.Admit(r); err != nil {
			fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Admit refuses what a browser was tricked into sending, as the loopback is no proof of
// anything, and who has no token where one is asked for: as bearer token, as X-API-Key,
// which some clients send alone, or as a URL's password. The error is a *Refusal.
func (g *Gate) Admit(r *http.Request) error {
	if r.Header.Get("Origin") != "" || embedded(r) {
		return &Refusal{http.StatusForbidden, "pages are not served here"}
	}
	if g.rebound(r) {
		return Refuse(http.StatusForbidden, "the host %s is not served here: name one of the loopback, or have the server started with --hosts", quote(r.Host))
	}
	if !g.open && !g.authorized(r) {
		return &Refusal{http.StatusUnauthorized, "the faces' key is required, as bearer token, as X-API-Key or as the password of the URL"}
	}
	return nil
}

func (g *Gate) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if _, password, basic := r.BasicAuth(); basic { // of a URL such as http://key:TOKEN@host, for clients that take nothing else
		token = password
	} else if !strings.EqualFold(scheme, "Bearer") {
		token = r.Header.Get("X-API-Key")
	}
	sum := sha256.Sum256([]byte(token)) // hashed, so that the time tells no length either
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// embedded reports whether a page of another site had a request sent, such as an image of it:
// these have no Origin on GET. By hand, in the address bar, one may ask.
func embedded(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "none"
}

// rebound reports whether a request came in on the loopback under a name that is neither the
// loopback's nor configured: a page whose own name was made to point here, which sends no
// Origin on GET.
func (g *Gate) rebound(r *http.Request) bool {
	at, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if at == nil || !at.IP.IsLoopback() {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	if strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback() {
		return false
	}
	return !slices.ContainsFunc(g.hosts, func(name string) bool { return strings.EqualFold(name, host) })
}
