"""Generate realistic texts of thoughts, in several languages.

The same seed gives the same texts.

Each language has a list of common words. Its rare words are generated from syllables. Word frequencies follow Zipf's
law, as in natural texts. The texts also contain set phrases, emoji, numbers, punctuation, and names that are popular
only for some time.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

MAX_LENGTH = 250
WORDS_AT_ONCE = 50_000
FASHION = 20_000  # a name is popular for this many thoughts

EMOJI = "😀 😂 ❤️ 👍 ☕ 🎉 🙏 🔥 😭 ✨ 🌧️ 🐈 🌈 👩‍👩‍👧 🇩🇪 🥐 🚲 📚 💡 🫠".split()
ASIDES = """100 %|50%|snake_case|it's|"so"|C:\\temp|#42|a/b|3.14|e-mail|<3|&c.|…|(sic)""".split("|")
ENDINGS = [".", ".", ".", ".", "!", "?", "…", "", ""]


@dataclass
class Language:
    """A language.

    `share` is the fraction of texts in this language, and `between` is the text between two words.
    """

    share: float
    common: list[str]
    syllables: list[str]
    between: str = " "
    tail: int = 20_000  # number of rare words

    def words(self, random: Random) -> Iterator[str]:
        """Yield random words without end.

        Common words are as frequent as in natural texts.
        """
        made = {"".join(random.choices(self.syllables, k=random.choice((1, 2, 2, 3, 3, 4)))) for _ in range(self.tail)}
        vocabulary = self.common + sorted(made - set(self.common))
        random.shuffle(tail := vocabulary[len(self.common) :])
        vocabulary[len(self.common) :] = tail
        weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(vocabulary))))
        while True:
            yield from random.choices(vocabulary, cum_weights=weights, k=WORDS_AT_ONCE)


LATIN = (
    "ba be bi bo bu ca ce co da de di do fa fe fi fo ga ge go ha he hi ho ja jo ka ke ki la le li lo lu ma me mi mo mu "
    "na ne ni no pa pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi wa we wi an en in on er ar or al "
    "st th ch sh tr pl gr br cl ing ion ment ness able ter der ver con pro per pre com sub"
).split()

LANGUAGES = [
    Language(
        0.42,
        "the of and to a in is I that it for you was with on as have but be they not this are or his from at by he "
        "she we can what all were when there use an your how said each which do their time if will way about many "
        "then them would like so these her long make thing see him two has look more day could go come did my sound "
        "no most who over know water than call first people may down side been now find any new work part take get "
        "place made live where after back little only round man year came show every good me give our under name "
        "very through just form much great think say help low line before turn cause same mean differ move right boy "
        "old too does tell morning coffee tea love rain work friend night home today tomorrow never always".split(),
        LATIN,
    ),
    Language(
        0.12,
        "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat "
        "dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis "
        "mehr durch man sein wurde sei schön Straße größer Mädchen Kaffee morgen heute immer".split(),
        [*LATIN, *"sch ung keit lich heit ge ver zer ent ü ö ä ß ie ei au".split()],
    ),
    Language(
        0.10,
        "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si sin "
        "sobre este ya entre cuando todo esta ser son dos también fue había era muy años hasta desde está mi porque "
        "mañana corazón niño café qué sólo él".split(),
        [*LATIN, *"ción dad mente ña ño ll rr á é í ó ú".split()],
    ),
    Language(
        0.08,
        "и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой так от ещё сказать же "
        "год о такой ты ведь было всё как бы только мне день утро кофе сегодня завтра никогда очень хорошо ёлка".split(),
        "ба бе ва во га го да де до ди ем за и ка ко ла ле ли ло ма ме ми мо на не ни но па пе по ра ре ри ро са се си "
        "со ста та те ти то ть ова ние ость ский ый ая ое ш ж щ ю я".split(),
    ),
    Language(
        0.04,
        "και το να του η της με που την από για είναι ο στο μου σου θα τα δεν σε τον ένα τι τους μας αυτό μια στη πως "
        "καφές σήμερα αύριο πρωί ποτέ πάντα".split(),
        "α βα γε δι ε ζω η θα κα κο λα λε μα με να νο ξε ο πα πο ρα ρι σα σε τα το υ φι χα ψυ ω μός ση της ικό ίζω".split(),
    ),
    Language(
        0.05,
        "في من على أن إلى هذا كان لا ما هو التي الذي عن مع كل هي بعد قد أو بين يوم كما لم ذلك اليوم غدا صباح قهوة".split(),
        "ال ب ت ث ج ح خ د ر ز س ش ص ط ع ف ق ك ل م ن ه و ي ة ات ين ون ا".split(),
    ),
    Language(
        0.04,
        "के में है की और से का को पर यह हैं कि एक ने ही वह तो भी कर था हो गया इस लिए नहीं आज कल सुबह चाय बहुत अच्छा".split(),
        "क ख ग च ज ट ड त द न प ब म य र ल व श स ह का की के मा ना ता या रा ली सा वि प्र ना".split(),
    ),
    Language(
        0.06,
        "的 一 是 不 了 在 人 有 我 他 这 个 们 中 来 上 大 为 和 国 地 到 以 说 时 要 就 出 会 可 也 你 对 生 能 而 子 那 得 于 "
        "今天 明天 我们 咖啡 喜欢 没有 什么 早上 朋友 工作 时间".split(),
        [chr(code) for code in range(0x4E00, 0x4E00 + 2400)],
        between="",
    ),
    Language(
        0.05,
        "の に は を た が で て と し れ さ ある いる も する から な こと として い や など なっ ない この ため その あっ よう "
        "今日 明日 猫 夢 コーヒー です ます でした ありがとう おはよう 東京 電車".split(),
        [chr(code) for code in (*range(0x30A2, 0x30ED), *range(0x3042, 0x3093), *range(0x5B66, 0x5B66 + 800))],
        between="",
    ),
    Language(
        0.04,
        "이 그 저 것 수 나 우리 있다 하다 되다 없다 않다 오늘 내일 아침 커피 사람 시간 정말 너무 좋다 그리고 하지만".split(),
        [chr(code) for code in range(0xAC00, 0xAC00 + 11172, 17)],
    ),
]  # fmt: skip
PHRASES = [
    "Good morning everyone", "at the end of the day", "Guten Morgen zusammen", "buenos días a todos", "доброе утро",
    "I can't believe it's only", "お疲れ様でした", "早上好", "one of the best", "the rest of the", "هذا اليوم", "haha", "!!!!!!",
]  # fmt: skip


def texts(seed: int = 1) -> Iterator[str]:
    """Yield texts of 1 to 250 characters, without leading or trailing spaces."""
    random = Random(seed)
    words = [language.words(random) for language in LANGUAGES]
    shares = list(itertools.accumulate(language.share for language in LANGUAGES))
    for number in itertools.count():
        if number % FASHION == 0:
            fashion = "".join(random.choices(LATIN, k=4)).capitalize()
        (index,) = random.choices(range(len(LANGUAGES)), cum_weights=shares)
        between = LANGUAGES[index].between
        count = min(1 + int(random.lognormvariate(2.55, 0.6)), 45)
        chosen = list(itertools.islice(words[index], count))
        chosen[0] = chosen[0][:1].upper() + chosen[0][1:]
        chance = random.random()
        if chance < 0.06:
            chosen.insert(random.randrange(count + 1), fashion)
        elif chance < 0.12:
            chosen.insert(random.randrange(count + 1), random.choice(PHRASES))
        elif chance < 0.16:
            chosen.insert(random.randrange(count + 1), random.choice(ASIDES))
        elif chance < 0.22:
            chosen.insert(random.randrange(count + 1), str(random.randrange(3000)))
        if count > 8:
            stop = random.randrange(3, count - 3)
            chosen[stop] += "。" if not between else "." if chance < 0.5 else ","
        text = between.join(chosen) + random.choice(ENDINGS)
        if chance > 0.88:
            text += " " + "".join(random.choices(EMOJI, k=random.choice((1, 1, 2, 3))))
        text = text[:MAX_LENGTH].strip()
        if text:
            yield text
