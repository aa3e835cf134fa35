package text

// libraryTexts are what each file of ready rules does, and what an administrator does before he uses it, by its name in package rules.
var libraryTexts = []Entry{
	{"library.attachments", "危険な添付ファイル（プログラム、圧縮ファイルの中のプログラム、名前を偽ったファイル、入力欄のあるWebページなど）を隔離します。マクロやパスワード付きのファイルは、初めは記録するだけです。", "Holds dangerous attachments: programs, also in archives, files under a false name, pages that ask for input. Macros and passwords are only observed at first."},
	{"library.business-mail", "役員や取引先をかたって送金などを求めるメール（ビジネスメール詐欺）を見つけます。", "Finds mails that pose as executives or partners and ask for money (business mail compromise)."},
	{"library.countries", "送信元の国による判定です。海外から届いた、差出人を確認できないメールに点数を加えます。やり取りのない国からのメールは、初めは記録するだけです。", "Judges by country: points for mail from abroad whose sender nothing confirms. Countries from which nothing is expected are only observed at first."},
	{"library.first-contact", "初めての差出人からのメールに印を付けます。初めは記録するだけです。", "Marks the first mail of a sender. Only observed at first."},
	{"library.newsletters", "メールマガジンなどの一斉配信メールに、振り分け用の印を付けます。初めは記録するだけです。", "Marks newsletters so that they can be sorted. Only observed at first."},
	{"library.own-domain", "当社のドメインをかたるメールや、よく似たドメインからのメールを見つけます。なりすましの隔離は、初めは記録するだけです。", "Finds mail that forges our own domain, or comes from one that looks like it. Holding forgeries is only observed at first."},
	{"library.phishing-japan", "カード会社、銀行、携帯電話会社、通販サイト、宅配会社、官公庁、鉄道などをかたるフィッシングメールに点数を加えます。", "Points for phishing in the name of card companies, banks, carriers, shops, parcel services, offices and railways in Japan."},
	{"library.fill.ready-executives.txt", "かたられるおそれのある役員や経理の責任者の名前を、1行に1つずつ書いてください。", "Write into it the names of executives and heads of accounting for whom a forger would pose, one a line."},
	{"library.fill.ready-partners.txt", "請求書や振込のやり取りがある取引先のドメインを、1行に1つずつ書いてください。", "Write into it the domains of partners with whom you exchange invoices, one a line."},
	{"library.state.absent", "未使用", "not used"},
	{"library.state.shipped", "使用中", "in use, as shipped"},
	{"library.state.changed", "使用中（変更あり）", "in use, changed"},
}
