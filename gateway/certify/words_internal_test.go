package certify

import (
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"North-Quay, at 9":    "north|quay|at|9",
		"1,240.50 or 1240.5":  "1240.5|or|1240.5",
		"1,2 and 3.":          "12|and|3", // a list without spaces is read as a number
		"BLT-0820":            "blt|820",
		"M8 x 20, ５ﾐﾘ":        "m8|x|20|5ミリ",
		"四号码头 North":          "四|号|码|头|north",
		"9h30":                "9h30",
		"":                    "",
		"Ångström’s straße":   "ångström|s|strasse",
		"a\u0301b 2026-03-05": "áb|2026|3|5",
	} {
		if got := strings.Join(words(text), "|"); got != want {
			t.Errorf("words(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestTrivial(t *testing.T) {
	for raw, want := range map[string]bool{
		`true`: true, `null`: true, `7`: true, `99`: true, `100`: false, `0.5`: false, `"W1"`: true, `"W12"`: false, `"ab"`: true, `"abc"`: false,
		`"42"`: true, `"码"`: true, `"码头"`: false, `""`: true,
	} {
		if got := trivial(decode([]byte(raw))); got != want {
			t.Errorf("trivial(%s) = %v, want %v", raw, got, want)
		}
	}
}

func TestLanguage(t *testing.T) {
	for prompt, want := range map[string]string{
		"Where does the Amalia lie?":            "en",
		"“Amalia” 停在哪里？":                        "zh",
		"请问 Amalia 停在哪里？":                       "zh",
		"What is 北京 called in English, please?": "en",
		`What does "请用列表回答谢谢" mean?`:            "en",
		"Where do they lie? 请用列表回答，谢谢。":         "zh mixed",
		"42 + SH-4711": "other",
		"请把 weigh_cargo 的结果告诉我，用 JSON 回答，只要数字就好": "zh",
	} {
		lang, mixed := language(prompt)
		if mixed {
			lang += " mixed"
		}
		if lang != want {
			t.Errorf("language(%q) = %s, want %s", prompt, lang, want)
		}
	}
}

func TestPartsOf(t *testing.T) {
	for name, want := range map[string]string{"find_ship": "find ship", "getCountryCode": "get country code", "search": "search", "v2_list": "v2 list"} {
		if got := strings.Join(partsOf(name), " "); got != want {
			t.Errorf("partsOf(%s) = %s, want %s", name, got, want)
		}
	}
}

// What words makes of foreign text is bounded by it, and a text holds its own words.
func FuzzWords(f *testing.F) {
	f.Add("1,240.50 o'clock at 四号码头")
	f.Add("1,,2..3 \xff\u0301")
	f.Fuzz(func(t *testing.T, s string) {
		list := words(s)
		if len(list) > 4*len(s)+4 {
			t.Errorf("%d words of %d bytes", len(list), len(s))
		}
		if slices.Contains(list, "") || len(list) > 0 && !within(list, list) {
			t.Errorf("words = %q", list)
		}
		language(s)
		engineError.MatchString(s)
	})
}
