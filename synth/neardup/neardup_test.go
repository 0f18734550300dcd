package neardup_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/synth/neardup"
)

func TestAdd(t *testing.T) {
	long := "Find the warehouse in Lyon that holds the most M8 bolts, tell me how many are left there and at what price, and reserve two hundred of them for the order of Monday morning in my name"
	for _, tt := range []struct {
		name, a, b string
		threshold  float64
		alike      bool
	}{
		{"equal", long, long, 1, true},
		{"case, width and punctuation", "Which city, please: PARIS or Ｌｙｏｎ?", "which city please paris or lyon", 1, true},
		{"one word of many", long, strings.Replace(long, "Monday", "Friday", 1), 0.8, true},
		{"one word of many, strictly", long, strings.Replace(long, "Monday", "Friday", 1), 0.9, false},
		{"one word of few", "How much tea is left?", "How much milk is left?", 0.8, false},
		{"another order", "the cat sees the dog here now", "the dog sees the cat here now", 0.8, false},
		{"Chinese, one character of many", "请查询北京市朝阳区今天晚上的天气情况并告诉我是否需要带伞出门", "请查询北京市朝阳区明天晚上的天气情况并告诉我是否需要带伞出门", 0.7, true},
		{"Chinese, another matter", "请查询北京市朝阳区今天晚上的天气情况", "请预订从上海到广州的高铁票两张", 0.3, false},
		{"short and equal", "Hello!", "hello", 1, true},
		{"short and not", "Hello", "Goodbye", 0.1, false},
		{"a part", long, long + ". " + strings.ToUpper("and then something else altogether that makes the whole of it much longer than the first one was"), 0.8, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := neardup.New(tt.threshold)
			if like, _ := x.Add("a", tt.a); like != "" {
				t.Fatalf("the first text is like %q", like)
			}
			like, similarity := x.Add("b", tt.b)
			if (like == "a") != tt.alike || tt.alike && similarity < tt.threshold {
				t.Errorf("like %q, %.2f alike; want alike %v", like, similarity, tt.alike)
			}
			if want := 2; tt.alike == (x.Len() == want) {
				t.Errorf("%d texts are kept", x.Len())
			}
		})
	}
}

func TestNothingToCompare(t *testing.T) {
	x := neardup.New(neardup.Default)
	for _, s := range []string{"", "", "?!", "?!", " "} {
		if like, similarity := x.Add("x"+s, s); like != "" || similarity != 0 {
			t.Errorf("%q is like %q", s, like)
		}
	}
}

// The most alike is named, the earliest of equals, and what was forgotten is not.
func TestMostAlike(t *testing.T) {
	x := neardup.New(0.5)
	base := numbered(40, 0)
	x.Add("far", swap(base, 6))
	x.Add("near", base)
	for id, s := range map[string]string{"one": swap(base, 1), "two": swap(base, 1)} {
		if like, _ := x.Add(id, s); like != "near" {
			t.Errorf("%s is like %q, want near", id, like)
		}
	}
}

// Short texts are measured exactly, long ones nearly, and hardly any above the threshold is
// missed.
func TestJaccard(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for _, words := range []int{30, 200, 1500} {
		missed, tries := 0, 100
		for i := range tries {
			a := numbered(words, i*words)
			changed := 1 + dice.IntN(max(words/25, 1))
			b := swap(a, changed)
			want := jaccard(a, b)
			x := neardup.New(0.7)
			x.Add("a", a)
			like, got := x.Add("b", b)
			switch {
			case like == "" && want >= 0.7+slack(words):
				missed++
			case like != "" && math.Abs(got-want) > slack(words):
				t.Errorf("%d words: %.3f alike, want %.3f", words, got, want)
			}
		}
		if missed > tries/50 {
			t.Errorf("%d words: %d of %d pairs were missed", words, missed, tries)
		}
	}
}

func slack(words int) float64 {
	if words < 256 {
		return 1e-9
	}
	return 0.12
}

// numbered is a text of n words that no other start shares.
func numbered(n, start int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "w%d ", start+i)
	}
	return b.String()
}

// swap changes n words, evenly spread.
func swap(s string, n int) string {
	w := strings.Fields(s)
	for i := range n {
		w[i*len(w)/n] = fmt.Sprint("other", i)
	}
	return strings.Join(w, " ")
}

// jaccard is the definition, word by word.
func jaccard(a, b string) float64 {
	set := func(s string) map[string]bool {
		m := map[string]bool{}
		w := strings.Fields(s)
		for i := range len(w) - 2 {
			m[strings.Join(w[i:i+3], " ")] = true
		}
		return m
	}
	p, q := set(a), set(b)
	both := 0
	for s := range p {
		if q[s] {
			both++
		}
	}
	return float64(both) / float64(len(p)+len(q)-both)
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{40, 1000} {
		b.Run(fmt.Sprint(n, "words"), func(b *testing.B) {
			x := neardup.New(neardup.Default)
			i := 0
			for b.Loop() {
				i++
				x.Add(fmt.Sprint(i), numbered(n, i*n))
			}
		})
	}
}
