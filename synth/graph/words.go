package graph

import (
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth/servers"
)

// tokens are the words of a name or a text in the one form: lower case, one thing instead of
// several, one word for what has many. user_IDs and userUuid are both "user id".
func tokens(s string) []string {
	all, _ := servers.Words(s)
	for i, w := range all {
		w = singular(w)
		if same, ok := synonyms[w]; ok {
			w = same
		}
		all[i] = w
	}
	return all
}

var synonyms = map[string]string{"identifier": "id", "uuid": "id", "guid": "id", "no": "number", "num": "number", "ref": "reference"}

// singular takes the plural off a noun. It is wrong where English is irregular, and then
// wrong on both sides of an edge.
func singular(w string) string {
	switch {
	case len(w) < 3 || strings.HasSuffix(w, "ss") || strings.HasSuffix(w, "us") || strings.HasSuffix(w, "is"):
		return w
	case strings.HasSuffix(w, "ies") && len(w) > 4:
		return w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "xes") || strings.HasSuffix(w, "ches") || strings.HasSuffix(w, "shes") || strings.HasSuffix(w, "sses"):
		return w[:len(w)-2]
	}
	return strings.TrimSuffix(w, "s")
}

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

var (
	// naming words name one thing among its like: the id of an order. Alone they say nothing,
	// and what they name is looked for around them.
	naming = wordSet("id number code key name reference slug symbol")

	// general words are in all tools, and make no field one that another tool can fill.
	general = wordSet(`id number code key name reference slug symbol type kind status state value data result results content text message body
		description title note comment query search filter sort limit offset page size count total max min first last start end from to
		date time timestamp day month year created updated format language lang locale mode option setting parameter input output field
		item list object array entry record row response request success error ok token cursor next previous flag enabled version
		unit amount price quantity summary detail info metadata meta label tag category order_by a an the of for by in on at with and or is are`)

	// free words are arguments that their caller words.
	free = wordSet("query q search filter text message content body prompt question input keyword term expression comment note")

	// making verbs begin what makes a thing: the name that it asks for is a new one.
	making = wordSet("create add new register insert make define declare set rename")

	// finding verbs begin what gives its caller a thing that other tools can be asked about.
	finding = wordSet("search find list lookup browse discover query get fetch create add open start begin register make book reserve place submit upload generate new insert schedule")

	verbs = union(making, finding, wordSet(`read write show view describe check verify validate calculate compute count compare update edit modify change replace
		delete remove cancel close stop end send post put patch call run execute move copy convert translate pay buy sell transfer track monitor watch
		analyze summarize extract resolve do retrieve load save download import export join leave assign approve reject confirm complete`))

	// between words end the noun of a tool's name: list orders (of user).
	between = wordSet("by for of from in to with on at via using and or as into per")
)

func union(sets ...map[string]bool) map[string]bool {
	all := map[string]bool{}
	for _, set := range sets {
		for w := range set {
			all[w] = true
		}
	}
	return all
}

// specific reports whether words are about something.
func specific(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return !general[w] })
}

// verbAndNoun are what a tool's name says that it does, and to what: search flight-offer of
// searchFlightOffersByDate. Either may be missing.
func verbAndNoun(name string) (verb string, noun []string) {
	words := tokens(name)
	at := slices.IndexFunc(words, func(w string) bool { return verbs[w] })
	rest := words
	if at >= 0 {
		if verb, rest = words[at], words[at+1:]; len(rest) == 0 {
			rest = words[:at] // ordersList
		}
	}
	if end := slices.IndexFunc(rest, func(w string) bool { return between[w] }); end >= 0 {
		rest = rest[:end]
	}
	return verb, rest
}

// phrases are the runs of 2 to 4 words in a text, without those that say nothing.
func phrases(words []string) (all [][]string) {
	const most = 60 // words; what a text says first is what it is about
	words = words[:min(len(words), most)]
	for i := range words {
		for n := 2; n <= 4 && i+n <= len(words); n++ {
			if run := words[i : i+n]; specific(run) && !between[run[0]] && !general[run[0]] {
				all = append(all, run)
			}
		}
	}
	return all
}
