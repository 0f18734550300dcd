package sandbox

// generator is the state of sfc32 for a seed: small, fast and sound. boot.js has the same
// in JavaScript.
func generator(seed int64) [4]uint32 {
	a, c := splitmix(uint64(seed)), splitmix(uint64(seed)+golden)
	s := [4]uint32{uint32(a), uint32(a >> 32), uint32(c), 1}
	for range 12 { // it wants some steps before near seeds part
		step(&s)
	}
	return s
}

// step draws a word.
func step(s *[4]uint32) uint32 {
	t := s[0] + s[1] + s[3]
	s[3]++
	s[0] = s[1] ^ s[1]>>9
	s[1] = s[2] + s[2]<<3
	s[2] = (s[2]<<21 | s[2]>>11) + t
	return t
}

const golden = 0x9e3779b97f4a7c15

// splitmix spreads a seed over 64 bits.
func splitmix(s uint64) uint64 {
	s += golden
	s = (s ^ s>>30) * 0xbf58476d1ce4e5b9
	s = (s ^ s>>27) * 0x94d049bb133111eb
	return s ^ s>>31
}
