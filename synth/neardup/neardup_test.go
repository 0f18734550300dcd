package neardup

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestAdd(t *testing.T) {
	const a = "Please find the cheapest ferry from Gullness to Merrow on Friday and book two seats near the window for my mother and me"
	for _, c := range []struct {
		name, second string
		want         bool
	}{
		{"the same", a, true},
		{"case and punctuation", strings.ToUpper(a) + "!", true},
		{"one word at the end", a + ", thanks", true},
		{"other words", "How many bolts are left in the warehouse at the harbour, and who ordered the last two hundred of them in March?", false},
		{"the same words in another order", "me and mother my for window the near seats two book and Friday on Merrow to Gullness from ferry cheapest the find Please", false},
		{"empty", "", false},
	} {
		x := New(0.8)
		x.Add("first", a)
		like, similarity := x.Add("second", c.second)
		if (like == "first") != c.want {
			t.Errorf("%s: like %q, %.2f", c.name, like, similarity)
		}
	}
}

func TestChinese(t *testing.T) {
	x := New(0.8)
	x.Add("first", "请帮我查一下周五从北京到上海最便宜的高铁票，并预订两张靠窗的座位。")
	if like, _ := x.Add("second", "请帮我查一下周五从北京到上海最便宜的高铁票，并预订两张靠窗的座位！谢谢"); like != "first" {
		t.Error("nearly the same was not found")
	}
	if like, s := x.Add("third", "仓库里还剩多少个螺栓？上个月最后一次订货的是谁？"); like != "" {
		t.Errorf("like %s, %.2f", like, s)
	}
}

// The estimate is held against what it estimates, and bands against all pairs.
func TestSimilarityIsJaccard(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	missed, wrong := 0, 0
	for n := range 400 {
		words := make([]string, 60)
		for i := range words {
			words[i] = fmt.Sprint("w", n, "x", i)
		}
		other := append([]string(nil), words...)
		for range dice.IntN(8) {
			other[dice.IntN(len(other))] = "changed"
		}
		a, b := strings.Join(words, " "), strings.Join(other, " ")
		want := jaccard(a, b)
		x := New(0.8)
		x.Add("a", a)
		like, _ := x.Add("b", b)
		if want > 0.9 && like == "" {
			missed++
		}
		if want < 0.65 && like != "" {
			wrong++
		}
		sa, sb := sign(a), sign(b)
		if got := alike(&sa, &sb); got < want-0.16 || got > want+0.16 {
			t.Errorf("estimate %.2f of %.2f", got, want)
		}
	}
	if missed > 0 || wrong > 0 {
		t.Errorf("%d missed, %d wrongly found", missed, wrong)
	}
}

func jaccard(a, b string) float64 {
	set := map[string]int{}
	for _, s := range shingles(a) {
		set[s] |= 1
	}
	for _, s := range shingles(b) {
		set[s] |= 2
	}
	both := 0
	for _, v := range set {
		if v == 3 {
			both++
		}
	}
	return float64(both) / float64(len(set))
}

func TestFirstOfEquals(t *testing.T) {
	x := New(0.5)
	x.Add("a", "one two three four five six seven eight")
	x.Add("b", "nine ten eleven twelve thirteen fourteen fifteen sixteen")
	if like, s := x.Add("c", "nine ten eleven twelve thirteen fourteen fifteen sixteen"); like != "b" || s != 1 {
		t.Errorf("like %s, %.2f; want b, 1", like, s)
	}
}

func FuzzAdd(f *testing.F) {
	f.Add("a b", "a b c")
	f.Add("", "\xff\xfe")
	f.Fuzz(func(t *testing.T, a, b string) {
		x := New(0.8)
		x.Add("a", a)
		if like, s := x.Add("a again", a); like != "a" && len(shingles(a)) > 0 || like == "a" && s != 1 {
			t.Errorf("the same text: like %q, %g", like, s)
		}
		if _, s := x.Add("b", b); s < 0 || s > 1 {
			t.Errorf("similarity %g", s)
		}
	})
}
