package text

var bayesTexts = []Entry{
	{
		"check.bayes",
		"学習済みの迷惑メール・通常のメールと、件名や本文の言葉づかい、差出人、メールの形を見比べます。",
		"Compares the words, the sender and the form of a mail with the spam and the good mail that were learned.",
	},
	{
		"symbol.BAYES_SPAM",
		"件名や本文の言葉づかい、メールの形（{words}など）が、これまでの迷惑メールとよく似ています。",
		"The words and the form of the mail ({words}) are much like those of earlier spam.",
	},
	{
		"symbol.BAYES_HAM",
		"件名や本文の言葉づかい、メールの形（{words}など）が、これまでの通常のメールとよく似ています。",
		"The words and the form of the mail ({words}) are much like those of earlier good mail.",
	},
	{"bayes.form", "差出人や書式", "its sender and layout"},
	{
		"symbol.BAYES_TEMPERROR",
		"一時的な障害のため、これまでのメールとの比較（学習フィルター）ができませんでした（{why}）。",
		"The mail could not be compared with earlier mail because of a temporary failure ({why}).",
	},
	{
		"fact.bayes.class",
		"学習フィルターの判定：spam（迷惑メール）、ham（通常のメール）、unsure（どちらともいえない）のいずれか。学習した通数が足りない間は不明。",
		"What the Bayesian check says: spam, ham or unsure; unknown while too little is learned.",
	},
	{
		"fact.bayes.probability",
		"迷惑メールである確からしさ（0～1）。",
		"How likely the mail is spam, from 0 to 1.",
	},
	{
		"fact.bayes.z",
		"判定のもとになる値。4以上で迷惑メール、-2以下で通常のメールとみなします。",
		"The value behind the class: spam from 4 on, ham from -2 down.",
	},
}
