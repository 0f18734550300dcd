package tables

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/astra-arenas/astra/synth"
)

const zh = string(synth.Chinese)

type chinese struct{ rng *rand.Rand }

func (g *chinese) form(forms ...string) string { return forms[g.rng.IntN(len(forms))] }

// filters stand before what they tell apart.
func (g *chinese) filters(filters []string) string { return strings.Join(filters, "且") }

func (g *chinese) called(t *Table, name string) string { return "“" + name + "”" }

func (g *chinese) which(t *Table, c *Column, value string) string {
	return g.form(
		fmt.Sprintf("%s为“%s”的%s", c.Label[zh], value, t.One[zh]),
		fmt.Sprintf("以“%s”为%s的那个%s", value, c.Label[zh], t.One[zh]))
}

func (g *chinese) get(c *Column, of string) string {
	if c.Ref != nil {
		return fmt.Sprintf("%s所属的%s", of, c.Label[zh])
	}
	return g.form(fmt.Sprintf("%s的%s", of, c.Label[zh]), fmt.Sprintf("%s所登记的%s", of, c.Label[zh]))
}

func (g *chinese) extreme(t *Table, c *Column, most bool, rank int, filters []string) string {
	word := "最高"
	switch {
	case c.Kind == Date && most:
		word = "最晚"
	case c.Kind == Date:
		word = "最早"
	case !most:
		word = "最低"
	}
	order := ""
	if rank > 1 {
		order = []string{"", "", "第二", "第三"}[rank]
		word = strings.TrimPrefix(word, "最")
	}
	return fmt.Sprintf("%s的%s中%s%s%s的那一个", g.filters(filters), t.Many[zh], c.Label[zh], order, word)
}

func (g *chinese) join(list []string) string {
	return strings.Join(list[:len(list)-1], "、") + "和" + list[len(list)-1]
}

func (g *chinese) winner(t *Table, rows []string, measured string) string {
	return fmt.Sprintf("%s当中%s最大的那一个", g.join(rows), measured)
}

func (g *chinese) ranking(rows []string, measured string) string {
	return fmt.Sprintf("%s按%s的排序", g.join(rows), measured)
}

func (g *chinese) those(t *Table, filters []string) string {
	return g.filters(filters) + "的" + t.Many[zh]
}

func (g *chinese) top(t *Table, c *Column, n int, filters []string) string {
	return fmt.Sprintf("%s的%s中%s最高的前%d个（从高到低）", g.filters(filters), t.Many[zh], c.Label[zh], n)
}

func (g *chinese) both(t *Table, a, b []string) string {
	return fmt.Sprintf("%s，同时又%s的%s", g.filters(a), g.filters(b), t.Many[zh])
}

func (g *chinese) belonging(c *Column, row string) string {
	return g.form("属于"+row, c.Label[zh]+"为"+row)
}

func (g *chinese) having(c *Column, value string) string {
	return fmt.Sprintf("%s为“%s”", c.Label[zh], value)
}

func (g *chinese) bounded(c *Column, how, value string) string {
	switch {
	case c.Kind == Bool && value == "true":
		return "满足“" + c.Label[zh] + "”"
	case c.Kind == Bool:
		return "不满足“" + c.Label[zh] + "”"
	case c.Kind == Date && how == "min":
		return fmt.Sprintf("%s不早于%s", c.Label[zh], value)
	case c.Kind == Date:
		return fmt.Sprintf("%s不晚于%s", c.Label[zh], value)
	case how == "min":
		return fmt.Sprintf("%s不低于%s", c.Label[zh], value)
	}
	return fmt.Sprintf("%s不超过%s", c.Label[zh], value)
}

func (g *chinese) literal(c *Column, v any) string { return asText(v) + c.Unit }

func (g *chinese) label(c *Column) string { return c.Label[zh] }

func (g *chinese) numberOf(t *Table, filters []string) string {
	if len(filters) == 0 {
		return t.Many[zh] + "数量"
	}
	return g.filters(filters) + "的" + t.Many[zh] + "数量"
}

func (g *chinese) total(t *Table, c *Column, filters []string) string {
	if len(filters) == 0 {
		return t.Many[zh] + "的" + c.Label[zh] + "总和"
	}
	return fmt.Sprintf("%s的%s的%s总和", g.filters(filters), t.Many[zh], c.Label[zh])
}

func (g *chinese) average(t *Table, c *Column, filters []string) string {
	if len(filters) == 0 {
		return t.Many[zh] + "的平均" + c.Label[zh]
	}
	return fmt.Sprintf("%s的%s的平均%s", g.filters(filters), t.Many[zh], c.Label[zh])
}

func (g *chinese) of(measured, row string) string { return row + "的" + measured }

func (g *chinese) together(measured string, rows []string) string {
	return fmt.Sprintf("%s的%s之和", g.join(rows), measured)
}

func (g *chinese) difference(a, b string) string {
	return g.form(fmt.Sprintf("%s减去%s的差", a, b), fmt.Sprintf("从%s中减去%s后的结果", a, b))
}

func (g *chinese) ratio(a, b string) string {
	return fmt.Sprintf("%s与%s之比（前者除以后者）", a, b)
}

func (g *chinese) percentage(a, b string) string { return fmt.Sprintf("%s占%s的百分比", a, b) }

var chineseUnits = map[string]string{"m": "米", "km": "千米", "cm": "厘米", "mm": "毫米", "mi": "英里", "ft": "英尺",
	"kg": "千克", "g": "克", "t": "吨", "lb": "磅", "min": "分钟", "h": "小时", "s": "秒", "days": "天"}

func (g *chinese) inUnit(np, unit string) string {
	if n, ok := chineseUnits[unit]; ok {
		unit = n
	}
	return fmt.Sprintf("以%s为单位的%s", unit, np)
}

func (g *chinese) days(a, b string) string { return fmt.Sprintf("从%s到%s的天数", a, b) }

func (g *chinese) later(date string, days int) string {
	return fmt.Sprintf("%s之后%d天的日期", date, days)
}

func (g *chinese) consider(np string) string {
	return g.form("先看"+np+"。", "请先找到"+np+"。", "我关心的是"+np+"。")
}

func (g *chinese) that(t *Table) string { return g.form("该"+t.One[zh], "这个"+t.One[zh]) }

func (g *chinese) let(letter, np string) string {
	return g.form(fmt.Sprintf("设%s为%s。", letter, np), fmt.Sprintf("把%s记作%s。", np, letter))
}

func (g *chinese) ask(k asked, t *Table, c *Column, np string) string {
	switch k {
	case askRow:
		return g.form(
			fmt.Sprintf("%s是哪一个？请给出它的%s。", np, t.Columns[t.Key].Label[zh]),
			fmt.Sprintf("请帮我查一下%s的%s。", np, t.Columns[t.Key].Label[zh]),
			fmt.Sprintf("我想知道%s的%s是什么。", np, t.Columns[t.Key].Label[zh]))
	case askList:
		return g.form(
			fmt.Sprintf("%s有哪些？请用JSON列表给出每一个的%s。", np, t.Columns[t.Key].Label[zh]),
			fmt.Sprintf("请列出%s，答案写成JSON列表，只写%s。", np, t.Columns[t.Key].Label[zh]))
	case askNumber:
		return g.form(np+"是多少？", "请计算"+np+"。", "我想知道"+np+"是多少。", "麻烦告诉我"+np+"。", "能帮我算一下"+np+"吗？")
	}
	return g.form(np+"是什么？", "请查一下"+np+"。", "我想知道"+np+"。", "麻烦告诉我"+np+"。", "能帮我找到"+np+"吗？")
}

func (g *chinese) several(questions []string) string {
	return g.form("我有几个问题。", "请一次回答下面几个问题。", "有几件事想请你查一下。") + strings.Join(questions, "") + g.form("请按提问顺序把答案写成一个JSON列表。", "答案请写成JSON列表，顺序与问题一致。")
}

var chineseOpeners = []string{
	"", "", "",
	"您好，我正在为课堂准备一份关于%s的测验。",
	"我在写一篇关于%s的短文，事实不能出错。",
	"关于%s的报告还差一个数据。",
	"我和同事对%s的一个问题有分歧。",
	"有个关于%s的问题想请教。",
	"我们正在整理有关%s的记录。",
	"有读者来信询问%s方面的事。",
}

func (g *chinese) frame(rng *rand.Rand, topic, body string) string {
	opener := chineseOpeners[rng.IntN(len(chineseOpeners))]
	if opener == "" {
		return body
	}
	return fmt.Sprintf(opener, topic) + body
}

func (g *chinese) rounded() string {
	return g.form("结果保留两位小数。", "请四舍五入到两位小数。")
}

func (g *chinese) record(w *desk, row string) string { return row + "未结的" + w.noun.zh }

// units says how many: a number, or as many as something.
func (g *chinese) units(quantity string) string {
	if strings.ContainsFunc(quantity, func(r rune) bool { return r >= 0x4e00 }) {
		return "数量等于" + quantity
	}
	return "数量为" + quantity
}

func (g *chinese) act(w *desk, a deed) string {
	n := w.noun.zh
	switch a.verb {
	case verbCreate:
		return g.form(
			fmt.Sprintf("请为%s新建一个%s，%s，日期为%s。", a.row, n, g.units(a.quantity), a.date),
			fmt.Sprintf("我们需要在%s为%s安排一个%s，%s。", a.date, a.row, n, g.units(a.quantity)))
	case verbMove:
		return g.form(fmt.Sprintf("%s的%s要推迟到%s，请处理一下。", a.row, n, a.date), fmt.Sprintf("请把%s的%s改到%s。", a.row, n, a.date))
	case verbChange:
		return fmt.Sprintf("请更正%s的%s，%s。", a.row, n, g.units(a.quantity))
	case verbTransfer:
		return g.form(fmt.Sprintf("%s的%s本应属于%s，请更正。", a.row, n, a.other), fmt.Sprintf("请把%s的%s转给%s。", a.row, n, a.other))
	}
	return g.form(fmt.Sprintf("%s的%s不再需要了，请取消。", a.row, n), fmt.Sprintf("请撤销%s的%s。", a.row, n))
}

func (g *chinese) containing(word string) string { return fmt.Sprintf("名称中含有“%s”", word) }

func (g *chinese) paragraph(preface []string, body string) string {
	return strings.Join(preface, "") + body
}
